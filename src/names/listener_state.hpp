// SPDX-License-Identifier: Apache-2.0

// What a Listener is, behind its one pointer: a reception, and its place in a loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <portolan/listener.hpp>

#include "names/reception.hpp"
#include "os/fork_watch.hpp"
#include "port/fork_guard.hpp"
#include "port/listeners.hpp"
#include "port/loop_access.hpp"
#include "port/loop_source.hpp"

namespace portolan::names {

class ListenerState final : public port::LoopSource,
                            public port::ForkGuarded,
                            public std::enable_shared_from_this<ListenerState> {
 public:
  ListenerState(Address address, const ListenOptions& options);
  ~ListenerState();

  [[nodiscard]] bool is_open() const noexcept { return reception_ != nullptr && !os::forked_since(birth_); }
  [[nodiscard]] const Address& address() const noexcept { return address_; }
  [[nodiscard]] Reception& reception() noexcept { return *reception_; }

  // The next one that is a port, without waiting.
  std::optional<ConnectEvent> next();
  std::optional<ConnectEvent> wait(std::int64_t deadline_ns);  // negative: without bound

  void bind(EventLoop& loop, std::shared_ptr<port::Listeners> listeners);
  void set_ref(bool ref) noexcept { ref_ = ref; }
  void close() noexcept;

  std::size_t serve(std::size_t most) override;
  [[nodiscard]] bool ready() noexcept override;
  [[nodiscard]] int descriptor() const noexcept override { return reception_->descriptor(); }
  bool announce_sleep(bool) noexcept override { return !ready(); }
  void announce_awake() noexcept override {}
  [[nodiscard]] bool keeps_loop_alive() const noexcept override;

 private:
  void become_inert() noexcept override;
  void dispatch(ConnectEvent& event) noexcept;

  const std::uint32_t birth_ = os::fork_generation();
  const Address address_;
  std::unique_ptr<Reception> reception_;
  std::shared_ptr<port::Listeners> listeners_;
  port::LoopAttachment attachment_;
  bool ref_ = true;
};

}  // namespace portolan::names

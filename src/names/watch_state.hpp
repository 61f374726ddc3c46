// SPDX-License-Identifier: Apache-2.0

// What a NameWatch is, behind its one pointer: a link to portoland, what it has told so far, and a place in a
// loop.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <portolan/name_watch.hpp>

#include "names/daemon_link.hpp"
#include "os/deadline_timer.hpp"
#include "os/epoll.hpp"
#include "os/fork_watch.hpp"
#include "port/fork_guard.hpp"
#include "port/listeners.hpp"
#include "port/loop_access.hpp"
#include "port/loop_source.hpp"

namespace portolan::names {

class WatchState final : public port::LoopSource,
                         public port::ForkGuarded,
                         public std::enable_shared_from_this<WatchState> {
 public:
  explicit WatchState(std::string_view pattern);
  ~WatchState();

  [[nodiscard]] bool is_open() const noexcept { return open_ && !os::forked_since(birth_); }
  std::optional<NameEvent> wait(std::int64_t deadline_ns);
  void bind(EventLoop& loop, std::shared_ptr<port::Listeners> listeners);
  void close() noexcept;

  std::size_t serve(std::size_t most) override;
  [[nodiscard]] bool ready() noexcept override;
  [[nodiscard]] int descriptor() const noexcept override { return epoll_.descriptor(); }
  bool announce_sleep(bool) noexcept override { return !ready(); }
  void announce_awake() noexcept override {}
  [[nodiscard]] bool keeps_loop_alive() const noexcept override;

 private:
  struct Known {
    std::uint64_t generation = 0;
    Peer owner;
    bool here = false;
    bool confirmed = false;  // by the present portoland
  };

  std::optional<NameEvent> next();
  void look();
  void hear(const wire::NamePacket& packet);
  void tell(NameNews news, const std::string& name, const Known& known);
  void lose_link() noexcept;
  void find_link();
  void tell_unconfirmed();
  [[nodiscard]] wire::NamePacket request() const;
  void become_inert() noexcept override;

  const std::uint32_t birth_ = os::fork_generation();
  const std::string pattern_;
  const std::string call_;
  bool open_ = true;
  DaemonLink link_;
  os::Epoll epoll_;
  os::DeadlineTimer timer_;
  std::map<std::string, Known> known_;
  std::deque<NameEvent> untold_;
  std::shared_ptr<port::Listeners> listeners_;
  port::LoopAttachment attachment_;
};

}  // namespace portolan::names

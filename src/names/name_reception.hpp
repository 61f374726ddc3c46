// SPDX-License-Identifier: Apache-2.0

// Strangers whom portoland sends, under a name that is registered there, and again whenever there is another
// one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "names/daemon_link.hpp"
#include "names/reception.hpp"

namespace portolan::names {

class NameReception final : public Reception {
 public:
  /// Waits for portoland's answer. Throws PortError.
  explicit NameReception(const Address& address);
  ~NameReception() override { close(); }

  std::optional<Introduction> next() override;
  void close() noexcept override;
  void disown() noexcept override;
  [[nodiscard]] std::uint64_t generation() const noexcept override { return generation_; }

 private:
  std::optional<Introduction> hear(DaemonLink::Arrived arrived);
  void lose_link() noexcept;
  void find_link();

  const std::string call_;
  const std::string name_;
  DaemonLink link_;
  std::uint64_t generation_ = 0;
  std::uint32_t enlisting_ = 0;  // number of the request under way
  std::int64_t delay_ns_;
  bool closed_ = false;
  Refusals refusals_;
};

}  // namespace portolan::names

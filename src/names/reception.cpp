// SPDX-License-Identifier: Apache-2.0

#include "names/reception.hpp"

#include <array>

#include <portolan/error.hpp>

#include "names/name_reception.hpp"
#include "names/path_reception.hpp"
#include "os/pause.hpp"
#include "port/logging.hpp"

namespace portolan::names {

bool Reception::wait(std::int64_t timeout_ns) noexcept {
  std::array<os::ReadyTag, 1> ready;
  return epoll_->wait(ready, timeout_ns) > 0;  // level-triggered: it stays ready
}

void Reception::watch(int descriptor, std::uint64_t tag, const std::string& call) {
  if (const auto error = epoll_->add(descriptor, os::kReadable, tag))
    throw PortError(error,
                    call + ": " + error.message() + "; close descriptors or raise RLIMIT_NOFILE (ulimit -n)");
}

std::unique_ptr<Reception> open_reception(const Address& address, const ListenOptions& options) {
  if (!address.is_path()) return std::make_unique<NameReception>(address);
  return std::make_unique<PathReception>(address, options);
}

void Refusals::note(const std::function<std::string()>& what) noexcept {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t now = os::monotonic_ns();
  if (now < next_ns_) {
    ++unsaid_;
    return;
  }
  next_ns_ = now + kSecond;
  const std::uint64_t others = std::exchange(unsaid_, 0);
  port::log(LogLevel::warning, [&] {
    return where_ + ": " + what() +
           (others > 0 ? " (and " + std::to_string(others) + " more before)" : std::string());
  });
}

}  // namespace portolan::names

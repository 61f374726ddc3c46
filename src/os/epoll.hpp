// SPDX-License-Identifier: Apache-2.0

// An epoll set. What is watched is named by a tag of 64 bits, never by an address: after a close elsewhere
// events may still arrive for something long gone. A forked child only ever destroys its copy: removing would
// act on the parent's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include <portolan/file_descriptor.hpp>

namespace portolan::os {

// Values as in <sys/epoll.h>, which only epoll.cpp includes.
inline constexpr std::uint32_t kReadable = 0x001;
inline constexpr std::uint32_t kWritable = 0x004;
inline constexpr std::uint32_t kFailed = 0x008;  // always reported
inline constexpr std::uint32_t kHungUp = 0x010;  // always reported
inline constexpr std::uint32_t kPeerShutDown = 0x2000;
inline constexpr std::uint32_t kOneShot = 1U << 30U;  // told once, until modify()
inline constexpr std::uint32_t kEdgeTriggered = 1U << 31U;

struct ReadyTag {
  std::uint64_t tag = 0;
  std::uint32_t events = 0;
};

class Epoll {
 public:
  /// Throws PortError.
  Epoll();

  /// Watches a descriptor. If it is ready already, the next wait says so, edge-triggered or not.
  [[nodiscard]] std::error_code add(int descriptor, std::uint32_t events, std::uint64_t tag) noexcept;
  [[nodiscard]] std::error_code modify(int descriptor, std::uint32_t events, std::uint64_t tag) noexcept;

  /// To be called before the descriptor is closed or sent away.
  void remove(int descriptor) noexcept;

  /// Waits for at most `timeout_ns` (negative: without bound) and fills `ready` from its beginning. Returns
  /// how many, 0 on timeout or signal.
  [[nodiscard]] std::size_t wait(std::span<ReadyTag> ready, std::int64_t timeout_ns) noexcept;

  /// Readable when something is ready; may be nested in another set.
  [[nodiscard]] int descriptor() const noexcept { return epoll_.get(); }

 private:
  FileDescriptor epoll_;
};

}  // namespace portolan::os

// SPDX-License-Identifier: Apache-2.0

// Several byte ranges that make one message, as writev does for files.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <vector>

namespace portolan {
inline namespace v1 {

/// The parts are copied into the message one behind the other; they need to live only until the post returns.
class Gather {
 public:
  Gather(std::initializer_list<std::span<const std::byte>> parts) : parts_(parts) {}
  explicit Gather(std::vector<std::span<const std::byte>> parts) noexcept : parts_(std::move(parts)) {}

  std::span<const std::span<const std::byte>> parts() const noexcept { return parts_; }
  std::size_t size_bytes() const noexcept {
    std::size_t sum = 0;
    for (const std::span<const std::byte> part : parts_) sum += part.size();
    return sum;
  }

 private:
  std::vector<std::span<const std::byte>> parts_;
};

}  // namespace v1
}  // namespace portolan

// SPDX-License-Identifier: Apache-2.0

// A message through a descriptor that knows no messages. On a non-blocking one these poll.
#pragma once

#include <cerrno>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <unistd.h>

#include "cpu.hpp"

namespace bench {

inline void write_all(int descriptor, std::span<const std::byte> message) {
  while (!message.empty()) {
    const ssize_t wrote = write(descriptor, message.data(), message.size());
    if (wrote > 0)
      message = message.subspan(static_cast<std::size_t>(wrote));
    else if (errno == EAGAIN)
      pause();
    else
      throw std::runtime_error("write failed");
  }
}

inline void read_all(int descriptor, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = read(descriptor, out.data(), out.size());
    if (got > 0)
      out = out.subspan(static_cast<std::size_t>(got));
    else if (got < 0 && errno == EAGAIN)
      pause();
    else
      throw std::runtime_error("read failed");
  }
}

}  // namespace bench

// SPDX-License-Identifier: Apache-2.0

// Room for descriptors about to be received. A full descriptor table makes recvmsg drop what does not fit,
// for good; so places are occupied first and given up at the last moment. Another thread may still take them
// in between.
#pragma once

#include <cstddef>
#include <system_error>
#include <vector>

#include <portolan/file_descriptor.hpp>

namespace portolan::os {

class DescriptorRoom {
 public:
  /// Occupies `count` places, in addition to those it has. On error (EMFILE, ENFILE, ENOMEM) it has what it
  /// had.
  [[nodiscard]] std::error_code reserve(std::size_t count) noexcept;

  /// Gives `count` places up (all, if it has fewer): to be called right before recvmsg.
  void release(std::size_t count) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return places_.size(); }

 private:
  std::vector<FileDescriptor> places_;
};

}  // namespace portolan::os

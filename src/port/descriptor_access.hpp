// SPDX-License-Identifier: Apache-2.0

// The library's way into a FileDescriptor.
#pragma once

#include <portolan/file_descriptor.hpp>

namespace portolan::port {

struct DescriptorAccess {
  // Whether somebody else decides how long closing it takes.
  static void set_foreign(FileDescriptor& descriptor, bool foreign) noexcept {
    descriptor.foreign_ = foreign;
  }

  // `place` points to the object as long as it owns what it owns now. One place an object: an earlier one is
  // told that it is gone.
  static void note(FileDescriptor& descriptor, FileDescriptor*& place) noexcept {
    if (descriptor.noted_ != nullptr) *descriptor.noted_ = nullptr;
    descriptor.noted_ = &place;
    place = &descriptor;
  }
  static void forget(FileDescriptor*& place) noexcept {
    if (place != nullptr) place->noted_ = nullptr;
    place = nullptr;
  }
};

}  // namespace portolan::port

// SPDX-License-Identifier: Apache-2.0

// What came along with a message, besides its bytes in the ring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <portolan/buffer_view.hpp>
#include <portolan/file_descriptor.hpp>
#include <portolan/message_port.hpp>
#include <portolan/shared_buffer.hpp>

#include "os/mapping.hpp"
#include "wire/attachments.hpp"

namespace portolan::port {

// What reading a message says of which the kernel has cut something off.
inline constexpr const char* kCutOff =
    "data: what belongs to this message was cut off on its way, as this process had no descriptors left; "
    "raise RLIMIT_NOFILE (ulimit -n) and have it sent again";

// A message that goes on as it came.
struct Unopened {
  std::span<const std::byte> payload;  // in the ring
  std::uint64_t body_bytes = 0;        // it is in a file of its own, the first of the descriptors
  wire::Attachments table;
  std::vector<FileDescriptor> descriptors;  // empty, too, if they were lost
};

struct Enclosures {
  std::vector<MessagePort> ports;
  std::vector<SharedBuffer> buffers;
  std::vector<BufferView> views;
  std::vector<FileDescriptor> descriptors;
  os::Mapping body;                           // a payload that travelled in a file of its own
  std::uint64_t body_bytes = 0;               // what the writer counts for it, also if it was lost
  std::string what;                           // of a messageerror: why it could not be read
  std::weak_ptr<PortState> asked;             // of a messageerror that is a request: where it is answered
  bool broken = false;                        // the kernel has cut some of it off: reading it is an error
  std::unique_ptr<std::byte[]> private_copy;  // a foreign peer's payload, out of its reach
};

}  // namespace portolan::port

// SPDX-License-Identifier: Apache-2.0

// A connection by somebody who does not use the library.
#pragma once

#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>

#include <portolan/file_descriptor.hpp>

namespace portolan::testing {

[[nodiscard]] inline FileDescriptor raw_connection(const std::string& path, int type = SOCK_SEQPACKET) {
  FileDescriptor socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  return socket;
}

}  // namespace portolan::testing

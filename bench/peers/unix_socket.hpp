// SPDX-License-Identifier: Apache-2.0

// A connected pair of Unix sockets with as much room as the system grants.
#pragma once

#include <array>

#include "peers/drive.hpp"

namespace bench {

class SocketPair {
 public:
  SocketPair(int type, const Setup& setup);
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;
  ~SocketPair();

  int end(Side side) const { return ends_[side == Side::near ? 0 : 1]; }
  // Has another owner from now on.
  int release(Side side);

 private:
  std::array<int, 2> ends_{};
};

// The most that one packet can hold.
std::size_t most_packet_bytes();

}  // namespace bench

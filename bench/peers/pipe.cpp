// SPDX-License-Identifier: Apache-2.0

// A pipe each way, as large as the system lets it be. Messages are of one size, so that none needs a length.

#include <array>
#include <fcntl.h>
#include <stdexcept>
#include <unistd.h>

#include "peers/all.hpp"
#include "peers/byte_stream.hpp"
#include "peers/drive.hpp"

namespace bench {

namespace {

class Pipe {
 public:
  static constexpr std::string_view kName = "pipe";
  static bool can(const Setup&) { return true; }

  struct Meeting {
    explicit Meeting(const Setup& setup) {
      constexpr int kRoom = 1 << 20;
      const int flags = O_CLOEXEC | (setup.waiting == Waiting::polling ? O_NONBLOCK : 0);
      if (pipe2(to_near.data(), flags) != 0 || pipe2(to_far.data(), flags) != 0)
        throw std::runtime_error("pipe2 failed");
      for (const int end : {to_near[1], to_far[1]}) fcntl(end, F_SETPIPE_SZ, kRoom);  // or what it has
    }
    Meeting(const Meeting&) = delete;
    Meeting& operator=(const Meeting&) = delete;
    ~Meeting() {
      for (const int end : {to_near[0], to_near[1], to_far[0], to_far[1]}) close(end);
    }
    std::array<int, 2> to_near{}, to_far{};
  };

  Pipe(const Meeting& meeting, const Setup&, Side side)
      : in_(side == Side::near ? meeting.to_near[0] : meeting.to_far[0]),
        out_(side == Side::near ? meeting.to_far[1] : meeting.to_near[1]) {}
  void send(std::span<const std::byte> message) { write_all(out_, message); }
  void receive(std::span<std::byte> out) { read_all(in_, out); }

 private:
  int in_, out_;
};

}  // namespace

const Peer& pipe_peer() {
  static const PeerOf<Pipe> peer;
  return peer;
}

}  // namespace bench

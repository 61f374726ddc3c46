// SPDX-License-Identifier: Apache-2.0

// ZeroMQ over ipc, exclusive pair, with its default high-water mark of 1000 messages or fewer large ones.

#include <fmt/format.h>
#include <unistd.h>
#include <zmq.h>

#include "peers/all.hpp"
#include "peers/drive.hpp"

namespace bench {

namespace {

class ZeroMq {
 public:
  static constexpr std::string_view kName = "ZeroMQ ipc";
  static bool can(const Setup&) { return true; }

  struct Meeting {
    explicit Meeting(const Setup&) : address(fmt::format("ipc://@portolan-bench-{}", getpid())) {}
    std::string address;  // abstract: nothing is left in the file system
  };

  ZeroMq(const Meeting& meeting, const Setup& setup, Side side)
      : flags_(setup.waiting == Waiting::polling ? ZMQ_DONTWAIT : 0),
        context_(zmq_ctx_new()),
        socket_(zmq_socket(context_, ZMQ_PAIR)) {
    const int high_water = setup.bytes < 1 << 20 ? 1000 : 16;
    zmq_setsockopt(socket_, ZMQ_SNDHWM, &high_water, sizeof high_water);
    zmq_setsockopt(socket_, ZMQ_RCVHWM, &high_water, sizeof high_water);
    const int status = side == Side::near ? zmq_bind(socket_, meeting.address.c_str())
                                          : zmq_connect(socket_, meeting.address.c_str());
    if (status != 0) throw std::runtime_error(zmq_strerror(errno));
  }
  ZeroMq(const ZeroMq&) = delete;
  ZeroMq& operator=(const ZeroMq&) = delete;
  ~ZeroMq() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }

  void send(std::span<const std::byte> message) {
    while (zmq_send(socket_, message.data(), message.size(), flags_) < 0) retry();
  }
  void receive(std::span<std::byte> out) {
    while (zmq_recv(socket_, out.data(), out.size(), flags_) < 0) retry();
  }

 private:
  static void retry() {
    if (errno != EAGAIN) throw std::runtime_error(zmq_strerror(errno));
    pause();
  }

  int flags_;
  void* context_;
  void* socket_;
};

}  // namespace

const Peer& zeromq_peer() {
  static const PeerOf<ZeroMq> peer;
  return peer;
}

}  // namespace bench

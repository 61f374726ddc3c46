// SPDX-License-Identifier: Apache-2.0

// nng over ipc, version 0 pair, with messages of its own making, which it passes on without a copy.

#include <cstring>
#include <fmt/format.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <unistd.h>

#include "peers/all.hpp"
#include "peers/drive.hpp"

namespace bench {

namespace {

void must(int status) {
  if (status != 0) throw std::runtime_error(nng_strerror(status));
}

class Nng {
 public:
  static constexpr std::string_view kName = "nng ipc";
  static bool can(const Setup&) { return true; }

  struct Meeting {
    explicit Meeting(const Setup&) : address(fmt::format("abstract://portolan-bench-{}", getpid())) {}
    std::string address;
  };

  Nng(const Meeting& meeting, const Setup& setup, Side side)
      : flags_(setup.waiting == Waiting::polling ? NNG_FLAG_NONBLOCK : 0) {
    must(nng_pair0_open(&socket_));
    const int depth = setup.bytes < 1 << 20 ? 1024 : 16;
    must(nng_socket_set_int(socket_, NNG_OPT_SENDBUF, depth));
    must(nng_socket_set_int(socket_, NNG_OPT_RECVBUF, depth));
    must(nng_socket_set_size(socket_, NNG_OPT_RECVMAXSZ, 0));  // any
    must(side == Side::near ? nng_listen(socket_, meeting.address.c_str(), nullptr, 0)
                            : nng_dial(socket_, meeting.address.c_str(), nullptr, NNG_FLAG_NONBLOCK));
  }
  Nng(const Nng&) = delete;
  Nng& operator=(const Nng&) = delete;
  ~Nng() { nng_close(socket_); }

  void send(std::span<const std::byte> message) {
    nng_msg* owned = nullptr;
    must(nng_msg_alloc(&owned, message.size()));
    std::memcpy(nng_msg_body(owned), message.data(), message.size());
    for (int status; (status = nng_sendmsg(socket_, owned, flags_)) != 0; pause())
      if (status != NNG_EAGAIN) must(status);
  }
  void receive(std::span<std::byte> out) {
    nng_msg* taken = nullptr;
    for (int status; (status = nng_recvmsg(socket_, &taken, flags_)) != 0; pause())
      if (status != NNG_EAGAIN) must(status);
    std::memcpy(out.data(), nng_msg_body(taken), std::min(out.size(), nng_msg_len(taken)));
    nng_msg_free(taken);
  }

 private:
  int flags_;
  nng_socket socket_{};
};

}  // namespace

const Peer& nng_peer() {
  static const PeerOf<Nng> peer;
  return peer;
}

}  // namespace bench

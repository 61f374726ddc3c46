// SPDX-License-Identifier: Apache-2.0

// sd-bus without a broker: signals with an array of bytes through a socketpair.

#include <cstring>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include "peers/all.hpp"
#include "peers/drive.hpp"
#include "peers/unix_socket.hpp"

namespace bench {

namespace {

void must(int status) {
  if (status < 0) throw std::runtime_error(std::strerror(-status));
}

class SdBus {
 public:
  static constexpr std::string_view kName = "sd-bus direct";
  static constexpr std::size_t kMostBytes = 16 << 20;
  static bool can(const Setup& setup) { return setup.bytes <= kMostBytes; }

  struct Meeting {
    explicit Meeting(const Setup&) : pair(SOCK_STREAM, {}) {}
    SocketPair pair;
  };

  SdBus(Meeting& meeting, const Setup& setup, Side side) : polling_(setup.waiting == Waiting::polling) {
    must(sd_bus_new(&bus_));
    const int socket = meeting.pair.release(side);
    must(sd_bus_set_fd(bus_, socket, socket));
    must(sd_bus_set_anonymous(bus_, 1));
    if (side == Side::near) {
      sd_id128_t id;
      must(sd_id128_randomize(&id));
      must(sd_bus_set_server(bus_, 1, id));
    }
    must(sd_bus_start(bus_));
  }
  SdBus(const SdBus&) = delete;
  SdBus& operator=(const SdBus&) = delete;
  ~SdBus() { sd_bus_flush_close_unref(bus_); }

  void send(std::span<const std::byte> message) {
    sd_bus_message* signal = nullptr;
    must(sd_bus_message_new_signal(bus_, &signal, "/bench", "org.portolan.Bench", "Message"));
    must(sd_bus_message_append_array(signal, 'y', message.data(), message.size()));
    must(sd_bus_send(bus_, signal, nullptr));
    sd_bus_message_unref(signal);
    must(sd_bus_flush(bus_));
  }
  void receive(std::span<std::byte> out) {
    for (;;) {
      sd_bus_message* message = nullptr;
      const int did = sd_bus_process(bus_, &message);
      must(did);
      if (message == nullptr) {
        if (did != 0) continue;
        if (polling_)
          pause();
        else
          must(sd_bus_wait(bus_, UINT64_MAX));
        continue;
      }
      const bool ours = sd_bus_message_is_signal(message, "org.portolan.Bench", "Message") > 0;
      const void* bytes = nullptr;
      std::size_t size = 0;
      if (ours) {
        must(sd_bus_message_read_array(message, 'y', &bytes, &size));
        std::memcpy(out.data(), bytes, std::min(out.size(), size));
      }
      sd_bus_message_unref(message);
      if (ours) return;
    }
  }

 private:
  bool polling_;
  sd_bus* bus_ = nullptr;
};

}  // namespace

const Peer& sd_bus_peer() {
  static const PeerOf<SdBus> peer;
  return peer;
}

}  // namespace bench

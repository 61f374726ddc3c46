// SPDX-License-Identifier: Apache-2.0

// Portolan, as README shows it: post and receive, nothing set but the room that large messages need.

#include <chrono>
#include <optional>
#include <stdexcept>

#include <portolan/port.hpp>

#include "peers/all.hpp"
#include "peers/drive.hpp"

namespace bench {

namespace {

class PortolanPort {
 public:
  static constexpr std::string_view kName = kOurName;
  static bool can(const Setup&) { return true; }

  struct Meeting {
    explicit Meeting(const Setup& setup) {
      constexpr std::size_t kMessagesAtLeast = 4;
      portolan::ChannelOptions options;
      options.limit_bytes = std::max(options.limit_bytes, kMessagesAtLeast * setup.bytes);
      portolan::MessageChannel channel(options);
      near = std::move(channel.port1).release();
      far = std::move(channel.port2).release();
    }
    portolan::PortHandle near, far;
  };

  PortolanPort(Meeting& meeting, const Setup& setup, Side side)
      : polling_(setup.waiting == Waiting::polling),
        port_(portolan::MessagePort::adopt(std::move(side == Side::near ? meeting.near : meeting.far))) {}

  void send(std::span<const std::byte> message) {
    if (polling_) {
      portolan::PostResult result;
      while ((result = port_.try_post_message(message)) == portolan::PostResult::full) pause();
      if (result != portolan::PostResult::posted) throw std::runtime_error("the channel is closed");
    } else if (port_.post_message_for(kPatience, message) != portolan::PostResult::posted) {
      throw std::runtime_error("no room came");
    }
  }
  void receive(std::span<std::byte> out) {
    receive_in_place([out](std::span<const std::byte> message) {
      if (message.size() != out.size()) throw std::runtime_error("a message has another size");
      copy(out.data(), message.data(), out.size());
    });
  }

  template <class F>
  void send_in_place(std::size_t bytes, F write) {
    for (;; pause()) {
      std::optional<portolan::Space> space = port_.try_reserve(bytes);
      if (!space) continue;
      write(space->bytes());
      return space->commit(bytes);
    }
  }
  template <class F>
  void receive_in_place(F read) {
    for (;;) {
      portolan::Received message = polling_ ? port_.try_receive() : port_.receive();
      if (message) return read(message->bytes());
      if (message.status() == portolan::ReceiveStatus::closed)
        throw std::runtime_error("the channel is closed");
    }
  }

 private:
  static constexpr std::chrono::seconds kPatience{10};
  bool polling_;
  portolan::MessagePort port_;
};

}  // namespace

const Peer& portolan_peer() {
  static const PeerOf<PortolanPort> peer;
  return peer;
}

}  // namespace bench

// SPDX-License-Identifier: Apache-2.0

// boost::interprocess::message_queue, one each way.

#include <boost/interprocess/ipc/message_queue.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "peers/all.hpp"
#include "peers/drive.hpp"

namespace bench {

namespace {

namespace ipc = boost::interprocess;

class BoostQueue {
 public:
  static constexpr std::string_view kName = "Boost message_queue";
  static constexpr std::size_t kMostBytes = 8 << 20;  // all its room is there from the start, several deep
  static bool can(const Setup& setup) { return setup.bytes <= kMostBytes; }

  struct Meeting {
    explicit Meeting(const Setup& setup) : to_near("near", setup), to_far("far", setup) {}
    struct Queue {
      Queue(const char* which, const Setup& setup)
          : name(fmt::format("portolan-bench-{}-{}", getpid(), which)),
            queue(ipc::create_only, name.c_str(), setup.bytes < 32'768 ? 1024 : 16, setup.bytes) {}
      Queue(const Queue&) = delete;
      Queue& operator=(const Queue&) = delete;
      ~Queue() { ipc::message_queue::remove(name.c_str()); }
      std::string name;
      ipc::message_queue queue;
    };
    Queue to_near, to_far;
  };

  BoostQueue(Meeting& meeting, const Setup& setup, Side side)
      : polling_(setup.waiting == Waiting::polling),
        in_(side == Side::near ? meeting.to_near.queue : meeting.to_far.queue),
        out_(side == Side::near ? meeting.to_far.queue : meeting.to_near.queue) {}
  void send(std::span<const std::byte> message) {
    if (!polling_) return out_.send(message.data(), message.size(), 0);
    while (!out_.try_send(message.data(), message.size(), 0)) pause();
  }
  void receive(std::span<std::byte> out) {
    ipc::message_queue::size_type size = 0;
    unsigned priority = 0;
    if (!polling_) return in_.receive(out.data(), out.size(), size, priority);
    while (!in_.try_receive(out.data(), out.size(), size, priority)) pause();
  }

 private:
  bool polling_;
  ipc::message_queue& in_;
  ipc::message_queue& out_;
};

}  // namespace

const Peer& boost_queue_peer() {
  static const PeerOf<BoostQueue> peer;
  return peer;
}

}  // namespace bench

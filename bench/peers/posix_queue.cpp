// SPDX-License-Identifier: Apache-2.0

// POSIX message queues, one each way, as deep as the system allows.

#include <array>
#include <fcntl.h>
#include <fmt/format.h>
#include <mqueue.h>
#include <sys/resource.h>
#include <unistd.h>

#include "peers/all.hpp"
#include "peers/drive.hpp"

namespace bench {

namespace {

constexpr rlim_t kDepth = 10;  // what everybody may have

class PosixQueue {
 public:
  static constexpr std::string_view kName = "POSIX mq";
  // How large a message may be, and how many bytes its user may have, is the system's to say.
  static bool can(const Setup& setup) {
    const mqd_t queue = depth(setup.bytes) > 0 ? open_queue("probe", setup) : -1;
    return queue != -1 && mq_close(queue) == 0;
  }

  struct Meeting {
    explicit Meeting(const Setup& setup)
        : to_near(open_queue("near", setup)), to_far(open_queue("far", setup)) {
      if (to_near == -1 || to_far == -1) throw std::runtime_error("mq_open failed");
    }
    Meeting(const Meeting&) = delete;
    Meeting& operator=(const Meeting&) = delete;
    ~Meeting() {
      mq_close(to_near);
      mq_close(to_far);
    }
    mqd_t to_near, to_far;
  };

  PosixQueue(const Meeting& meeting, const Setup&, Side side)
      : in_(side == Side::near ? meeting.to_near : meeting.to_far),
        out_(side == Side::near ? meeting.to_far : meeting.to_near) {}
  void send(std::span<const std::byte> message) {
    while (mq_send(out_, reinterpret_cast<const char*>(message.data()), message.size(), 0) != 0) {
      if (errno != EAGAIN) throw std::runtime_error("mq_send failed");
      pause();
    }
  }
  void receive(std::span<std::byte> out) {
    while (mq_receive(in_, reinterpret_cast<char*>(out.data()), out.size(), nullptr) < 0) {
      if (errno != EAGAIN) throw std::runtime_error("mq_receive failed");
      pause();
    }
  }

 private:
  // The two queues of a sample share what the user may have in all.
  static rlim_t depth(std::size_t bytes) {
    constexpr rlim_t kOverhead = 256;
    rlimit limit{};
    getrlimit(RLIMIT_MSGQUEUE, &limit);
    return std::min(kDepth, limit.rlim_cur / 2 / (bytes + kOverhead));
  }
  static mqd_t open_queue(const char* which, const Setup& setup) {
    const std::string name = fmt::format("/portolan-bench-{}-{}", getpid(), which);
    mq_attr attributes{};
    attributes.mq_maxmsg = static_cast<long>(depth(setup.bytes));
    attributes.mq_msgsize = static_cast<long>(setup.bytes);
    const int flags = O_RDWR | O_CREAT | O_EXCL | (setup.waiting == Waiting::polling ? O_NONBLOCK : 0);
    const mqd_t queue = mq_open(name.c_str(), flags, 0600, &attributes);
    if (queue != -1) mq_unlink(name.c_str());
    return queue;
  }

  mqd_t in_, out_;
};

}  // namespace

const Peer& posix_queue_peer() {
  static const PeerOf<PosixQueue> peer;
  return peer;
}

}  // namespace bench

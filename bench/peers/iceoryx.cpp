// SPDX-License-Identifier: Apache-2.0

// iceoryx with its daemon, which is started for the run unless one is there. Its own waiting for a slow
// reader is much slower than a credit that the reader gives in memory, so that its sender has that.

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <optional>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peers/all.hpp"
#include "peers/drive.hpp"

namespace bench {

namespace {

class Daemon {
 public:
  Daemon() : child_(fork()) {
    if (child_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
      dup2(nowhere, STDOUT_FILENO);
      dup2(nowhere, STDERR_FILENO);
      execlp("iox-roudi", "iox-roudi", "--log-level", "off", nullptr);
      _exit(127);
    }
    constexpr const char* kSocket = "/tmp/roudi";
    constexpr std::int64_t kPatienceNs = 10'000'000'000, kLookNs = 10'000'000;
    const std::int64_t until_ns = now_ns() + kPatienceNs;
    while (access(kSocket, F_OK) != 0) {
      if (now_ns() > until_ns || waitpid(child_, nullptr, WNOHANG) != 0)
        throw std::runtime_error("iox-roudi does not start");
      sleep_until(now_ns() + kLookNs);
    }
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon() {
    kill(child_, SIGTERM);
    waitpid(child_, nullptr, 0);
  }

 private:
  pid_t child_;
};

struct Credits {
  alignas(64) std::atomic<std::uint64_t> taken_by_near{0};
  alignas(64) std::atomic<std::uint64_t> taken_by_far{0};
};

class Iceoryx {
 public:
  static constexpr std::string_view kName = "iceoryx";
  static constexpr std::size_t kMostBytes = 1 << 20;  // the largest chunk of the daemon's default
  static bool can(const Setup& setup) { return setup.bytes <= kMostBytes; }

  struct Meeting {
    explicit Meeting(const Setup&) {
      static const Daemon daemon;
      new (&credits) Credits;
    }
    Credits& credits = shared_once();
    static Credits& shared_once() {
      static Credits& credits = shared<Credits>();
      return credits;
    }
  };

  Iceoryx(Meeting& meeting, const Setup& setup, Side side)
      : polling_(setup.waiting == Waiting::polling),
        depth_(setup.bytes <= 16'384    ? 256
               : setup.bytes <= 131'072 ? 32
                                        : 5),
        taken_here_(side == Side::near ? meeting.credits.taken_by_near : meeting.credits.taken_by_far),
        taken_there_(side == Side::near ? meeting.credits.taken_by_far : meeting.credits.taken_by_near) {
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kOff,
                                                             iox::log::LogLevelOutput::kHideLogLevel);
    const std::string name = fmt::format("portolan-bench-{}", getpid());
    iox::runtime::PoshRuntime::initRuntime(iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name));
    const auto service = [&](bool to_near) {
      const std::string run = fmt::format("{}", getppid());
      return iox::capro::ServiceDescription(
          "portolan-bench", iox::capro::IdString_t(iox::cxx::TruncateToCapacity, run),
          to_near ? iox::capro::IdString_t("to near") : iox::capro::IdString_t("to far"));
    };
    iox::popo::SubscriberOptions options;
    options.queueCapacity = depth_;
    publisher_.emplace(service(side == Side::far));
    subscriber_.emplace(service(side == Side::near), options);
    if (!polling_) {
      waits_.emplace();
      if (waits_->attachState(*subscriber_, iox::popo::SubscriberState::HAS_DATA).has_error())
        throw std::runtime_error("attachState failed");
    }
    while (!publisher_->hasSubscribers() ||
           subscriber_->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED)
      sleep_until(now_ns() + 1'000'000);
  }
  Iceoryx(const Iceoryx&) = delete;
  Iceoryx& operator=(const Iceoryx&) = delete;
  ~Iceoryx() = default;

  void send(std::span<const std::byte> message) {
    send_in_place(message.size(),
                  [message](std::span<std::byte> room) { copy(room.data(), message.data(), room.size()); });
  }
  void receive(std::span<std::byte> out) {
    receive_in_place([out](std::span<const std::byte> message) {
      copy(out.data(), message.data(), std::min(out.size(), message.size()));
    });
  }

  template <class F>
  void send_in_place(std::size_t bytes, F write) {
    while (sent_ - taken_there_.load(std::memory_order_acquire) >= depth_) {
      if (polling_)
        pause();
      else
        sched_yield();
    }
    auto loan = publisher_->loan(static_cast<std::uint32_t>(bytes));
    if (loan.has_error()) throw std::runtime_error("loan failed");
    write(std::span(static_cast<std::byte*>(loan.value()), bytes));
    publisher_->publish(loan.value());
    ++sent_;
  }
  template <class F>
  void receive_in_place(F read) {
    for (;;) {
      auto taken = subscriber_->take();
      if (taken.has_error()) {
        if (polling_)
          pause();
        else
          waits_->wait();
        continue;
      }
      const auto* const header = iox::mepoo::ChunkHeader::fromUserPayload(taken.value());
      read(std::span(static_cast<const std::byte*>(taken.value()), header->userPayloadSize()));
      subscriber_->release(taken.value());
      taken_here_.store(++received_, std::memory_order_release);
      return;
    }
  }

 private:
  bool polling_;
  std::uint64_t depth_;
  std::atomic<std::uint64_t>& taken_here_;
  std::atomic<std::uint64_t>& taken_there_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::optional<iox::popo::UntypedPublisher> publisher_;
  std::optional<iox::popo::UntypedSubscriber> subscriber_;
  std::optional<iox::popo::WaitSet<>> waits_;  // let go of before what is attached to it
};

}  // namespace

const Peer& iceoryx_peer() {
  static const PeerOf<Iceoryx> peer;
  return peer;
}

}  // namespace bench

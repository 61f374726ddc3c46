// SPDX-License-Identifier: Apache-2.0

// One thread's sleep on several endpoints: as that on one, but that the announcements share a barrier and an
// epoll set. docs/ring-protocol.md, "Sleeping and waking".

#include <algorithm>
#include <atomic>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <portolan/error.hpp>
#include <portolan/message_port.hpp>
#include <portolan/wait_any.hpp>

#include "os/membarrier.hpp"
#include "os/pause.hpp"
#include "os/socket.hpp"
#include "port/port_access.hpp"
#include "port/port_state.hpp"

namespace portolan::port {

namespace {

constexpr std::int64_t kUnfencedNs = 10'000'000, kSpinNs = 20'000;

class WaitingPorts {
 public:
  // Throws what using a port throws.
  explicit WaitingPorts(std::span<MessagePort* const> ports) {
    states_.reserve(ports.size());
    for (const MessagePort* const port : ports) {
      states_.push_back(port != nullptr ? PortAccess::state(*port) : nullptr);
      if (!states_.back()) continue;
      states_.back()->check_process("wait_any");
      static_cast<void>(states_.back()->use());
    }
    sockets_.reserve(ports.size());
  }

  [[nodiscard]] std::size_t first_ready() const noexcept {
    const auto found = std::find_if(states_.begin(), states_.end(), [](const auto& state) {
      Endpoint* const endpoint = state ? state->used() : nullptr;
      return endpoint == nullptr || !endpoint->usable() ||
             (!state->held() && (!state->dry(*endpoint) || endpoint->peer_closed()));
    });
    return found == states_.end() ? npos : static_cast<std::size_t>(found - states_.begin());
  }

  // Until one has an edge, a nudge comes, or the time is up; then whoever calls looks again.
  void sleep(const ThreadSleeper& sleeper, ThreadSleeper::Watch& watch, std::uint32_t nudges,
             std::int64_t longest_ns) {
    bool all = true;
    for (const auto& state : states_) all = state->used()->announce_sleep(true, false, false) && all;
    const bool fenced = os::membarrier();
    // [L3] seq_cst fence; pairs with [S5], [S11], [C4]: as in the loop, where the barrier is refused.
    if (!fenced) std::atomic_thread_fence(std::memory_order_seq_cst);
    std::error_code refused;
    const bool sleeps = all && first_ready() == npos && sleeper.nudges() == nudges;
    if (sleeps)
      refused =
          watch.sleep(sockets_, nudges, std::min(longest_ns, fenced ? longest_sleep_ns() : kUnfencedNs));
    // Whoever floods one of them keeps the deaths of the others from nobody.
    if (sleeps || !all)
      for (const auto& state : states_) state->used()->look_for_hang_up();
    for (const auto& state : states_) state->announce_awake();
    if (refused)
      throw PortError(refused, "wait_any(" + std::to_string(states_.size()) +
                                   " ports): no descriptors to sleep on (" + refused.message() +
                                   "); close some or raise RLIMIT_NOFILE (ulimit -n)");
  }

  [[nodiscard]] std::int64_t longest_sleep_ns() const noexcept {
    const bool held =
        std::any_of(states_.begin(), states_.end(), [](const auto& state) { return state->held(); });
    return held ? ForeignIntake::kPauseNs : kRearmNs;
  }

  // So that close() and moves from other threads wake this one, and wait until it has left. False: one is
  // shut.
  bool enter(ThreadSleeper& sleeper) {
    for (const auto& state : states_) {
      Endpoint& endpoint = *state->used();
      if (!inside_.emplace_back(endpoint.gate(), &sleeper)) return false;
      // The packet of a message that is left for a while lies in its socket, which would end each sleep.
      if (!state->held()) sockets_.push_back(endpoint.socket());
    }
    return true;
  }
  void leave() noexcept {
    inside_.clear();
    sockets_.clear();
  }

 private:
  std::vector<std::shared_ptr<PortState>> states_;
  std::vector<int> sockets_;
  std::deque<Gate::Stay> inside_;
};

std::size_t wait(std::span<MessagePort* const> ports, std::int64_t deadline_ns, const std::stop_token& stop) {
  WaitingPorts waiting(ports);
  ThreadSleeper& sleeper = ThreadSleeper::current();
  const std::int64_t spin_until_ns = os::monotonic_ns() + kSpinNs;
  for (;;) {
    // Counted before the gates, as in wait_for_message.
    const std::uint32_t nudges = sleeper.nudges();
    if (const std::size_t ready = waiting.first_ready(); ready != npos) return ready;
    const std::int64_t now_ns = os::monotonic_ns();
    if (stop.stop_requested() || now_ns >= deadline_ns) return npos;
    if (now_ns < spin_until_ns) {
      os::cpu_pause();
      continue;
    }
    const std::stop_callback nudge_on_stop(stop, [&sleeper] { sleeper.nudge(); });
    if (waiting.enter(sleeper)) {
      ThreadSleeper::Watch watch(sleeper);
      waiting.sleep(sleeper, watch, nudges, deadline_ns - now_ns);
    }
    waiting.leave();
  }
}

std::int64_t end_of_patience(std::chrono::nanoseconds patience) noexcept {
  const std::int64_t now_ns = os::monotonic_ns();
  constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  return patience.count() > kNever - now_ns ? kNever : now_ns + patience.count();
}

}  // namespace

}  // namespace portolan::port

namespace portolan {
inline namespace v1 {

std::size_t wait_any(std::span<MessagePort* const> ports, std::chrono::nanoseconds patience) {
  return port::wait(ports, port::end_of_patience(patience), {});
}

std::size_t wait_any(std::span<MessagePort* const> ports, std::stop_token stop) {
  return port::wait(ports, std::numeric_limits<std::int64_t>::max(), stop);
}

std::size_t wait_any(std::span<MessagePort* const> ports, std::chrono::nanoseconds patience,
                     std::stop_token stop) {
  return port::wait(ports, port::end_of_patience(patience), stop);
}

}  // namespace v1
}  // namespace portolan

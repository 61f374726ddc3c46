// SPDX-License-Identifier: Apache-2.0

// Several processes of one program, of which each that ends is started again.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <portolan/event_loop.hpp>
#include <portolan/worker.hpp>

namespace portolan {
inline namespace v1 {

struct PoolOptions {
  std::size_t workers = 0;                  ///< 0: one a processor
  std::vector<std::string> arguments = {};  ///< behind the program's name, for each of them
  std::chrono::nanoseconds steady =
      std::chrono::seconds(1);  ///< who has lived so long is started anew at once
  std::chrono::nanoseconds pause = std::chrono::milliseconds(10);  ///< before the others, doubled each time
  std::chrono::nanoseconds longest_pause = std::chrono::seconds(5);
  std::chrono::nanoseconds grace = std::chrono::seconds(2);  ///< as in WorkerOptions
};

/// Hands requests to whichever worker, of those whose port is open, has the fewest under way. A worker that
/// ends is started again until close(): at once, or after a pause if it has not lived long. Requests that it
/// had not answered end with ReplyStatus::closed; whether they are asked again is the caller's to decide, who
/// knows what asking twice does.
///
/// Belongs to the thread that made it and to its loop, which has to run for workers to be started again, and
/// which it keeps going until it is closed. Throws PortError if the first workers cannot be started; later
/// ones are tried again after a pause.
class WorkerPool {
 public:
  explicit WorkerPool(std::string program, PoolOptions options = {})
      : program_(std::move(program)), options_(std::move(options)), seats_(seats()) {
    for (std::size_t seat = 0; seat < seats_.size(); ++seat) start(seat);
  }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  /// Closes all ports first, so that the workers end side by side; then as ~Worker.
  ~WorkerPool() { close(); }

  /// As MessagePort::request(), to one of them. Where none is there at the moment, the Reply is detached at
  /// once: see when_available().
  template <class T>
  [[nodiscard]] Reply request(T&& value, RequestOptions options = {}) {
    return least_busy().request(std::forward<T>(value), std::move(options));
  }
  /// To every worker that is there.
  template <class T>
  void post_to_all(const T& value) {
    for (Seat& seat : seats_)
      if (seat.worker) seat.worker->post_message(value);
  }

  [[nodiscard]] std::size_t size() const noexcept { return seats_.size(); }
  [[nodiscard]] std::size_t running() const noexcept {
    return static_cast<std::size_t>(
        std::count_if(seats_.begin(), seats_.end(), [](const Seat& seat) { return seat.worker != nullptr; }));
  }
  /// How many were started in place of one that had ended.
  [[nodiscard]] std::uint64_t restarts() const noexcept { return restarts_; }
  /// Calls `handler` with each worker, F(Worker&), before it is given work: those that are there, and each
  /// that is started later. Worker::on_exit() is the pool's: say on_exit() to it.
  template <class F>
  void on_start(F handler) {
    on_start_ = std::move(handler);
    for (std::size_t seat = 0; seat < seats_.size(); ++seat)
      if (seats_[seat].worker) introduce(seat);
  }
  /// Calls `handler`, F(Worker&, ExitStatus), with each worker that has ended before close(), before another
  /// one is started in its place.
  template <class F>
  void on_exit(F handler) {
    on_exit_ = std::move(handler);
  }
  /// Calls `task` in the loop, once a worker is there that can be asked: at its next turn, or when one has
  /// been started. For whoever asks again what a dead one has not answered, and would ask nobody else.
  void when_available(Callback<void()> task) {
    if (find_least_busy() != nullptr)
      EventLoop::current().post(std::move(task));
    else
      waiting_.push_back(std::move(task));
  }
  /// None is started any more, and those that are there are told to end, which they do when they see their
  /// parent_port() closed.
  void close() noexcept {
    closed_ = true;
    for (Seat& seat : seats_) {
      EventLoop::current().clear(std::exchange(seat.timer, TimerId::none));
      if (seat.worker) seat.worker->port().close();
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Seat {
    std::unique_ptr<Worker> worker;
    Clock::time_point since;
    std::chrono::nanoseconds pause{};
    TimerId timer = TimerId::none;
  };

  [[nodiscard]] std::vector<Seat> seats() const {
    const std::size_t wanted =
        options_.workers != 0 ? options_.workers : std::max(1U, std::thread::hardware_concurrency());
    return std::vector<Seat>(wanted);
  }
  MessagePort& least_busy() {
    Seat* const best = find_least_busy();
    return best != nullptr ? best->worker->port() : nobody_;
  }
  Seat* find_least_busy() {
    Seat* best = nullptr;
    for (Seat& seat : seats_)
      // One that is dying has nothing under way any more, and would get everything until it is replaced.
      if (seat.worker && seat.worker->port().is_open() &&
          (best == nullptr ||
           seat.worker->port().pending_requests() < best->worker->port().pending_requests()))
        best = &seat;
    return best;
  }
  void start(std::size_t index) {
    Seat& seat = seats_[index];
    WorkerOptions how;
    how.grace = options_.grace;
    seat.worker = std::make_unique<Worker>(program_, options_.arguments, std::move(how));
    seat.since = Clock::now();
    introduce(index);
    for (Callback<void()>& task : std::exchange(waiting_, {})) EventLoop::current().post(std::move(task));
  }
  void introduce(std::size_t index) {
    Worker& worker = *seats_[index].worker;
    if (on_start_) on_start_(worker);
    worker.on_exit([this, index](ExitStatus status) { ended(index, status); });
  }
  void ended(std::size_t index, ExitStatus status) {
    Seat& seat = seats_[index];
    if (closed_) return;
    if (on_exit_) on_exit_(*seat.worker, status);
    if (closed_) return;
    retire(std::move(seat.worker));
    const bool steady = Clock::now() - seat.since >= options_.steady;
    seat.pause = steady ? std::chrono::nanoseconds{}
                        : std::clamp(2 * seat.pause, options_.pause, options_.longest_pause);
    start_later(index);
  }
  // What it has posted is still to be received: it goes when its port has closed behind that, or, where
  // nobody reads that, after the grace.
  void retire(std::unique_ptr<Worker> worker) {
    const auto former = retired_.insert(retired_.end(), std::move(worker));
    const auto go = [this, alive = std::weak_ptr(alive_), address = former->get()] {
      if (!alive.expired())
        std::erase_if(retired_, [address](const auto& each) { return each.get() == address; });
    };
    MessagePort& port = (*former)->port();
    port.add_event_listener("close", [go] { EventLoop::current().post(go); });
    port.attach(EventLoop::current());
    if (!port.is_open() && port.pending_requests() == 0 &&
        port.try_receive().status() == ReceiveStatus::closed)
      return go();
    EventLoop::current().set_timeout(options_.grace, go);
  }
  void start_later(std::size_t index) {
    seats_[index].timer = EventLoop::current().set_timeout(seats_[index].pause, [this, index] {
      Seat& seat = seats_[index];
      seat.timer = TimerId::none;
      try {
        start(index);
        ++restarts_;
      } catch (const PortError&) {
        seat.worker.reset();
        seat.pause = std::clamp(2 * seat.pause, options_.pause, options_.longest_pause);
        start_later(index);
      }
    });
  }

  std::string program_;
  PoolOptions options_;
  std::vector<Seat> seats_;
  std::vector<std::unique_ptr<Worker>> retired_;
  Callback<void(Worker&)> on_start_;
  Callback<void(Worker&, ExitStatus)> on_exit_;
  std::vector<Callback<void()>> waiting_;
  MessagePort nobody_;
  std::uint64_t restarts_ = 0;
  bool closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>();  // tasks and timers that come later find it gone
};

}  // namespace v1
}  // namespace portolan

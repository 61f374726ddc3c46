// SPDX-License-Identifier: Apache-2.0

// Where strangers arrive: at a path, or through portoland. One descriptor to wait on, whatever is behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <portolan/listener.hpp>

#include "names/address.hpp"
#include "names/introduction.hpp"
#include "os/deadline_timer.hpp"
#include "os/epoll.hpp"

namespace portolan::names {

class Reception {
 public:
  Reception(const Reception&) = delete;
  Reception& operator=(const Reception&) = delete;
  virtual ~Reception() = default;

  /// The next one who is there, without waiting; not looked at yet. Throws PortError if there are no
  /// descriptors for it: then it waits, and is tried again after a moment.
  virtual std::optional<Introduction> next() = 0;
  /// Nobody comes any more, and who waits is turned away.
  virtual void close() noexcept = 0;
  /// In a forked child: closes the copies, and leaves everything to the parent.
  virtual void disown() noexcept = 0;
  [[nodiscard]] virtual std::uint64_t generation() const noexcept { return 0; }

  /// Readable when next() has something to do.
  [[nodiscard]] int descriptor() const noexcept { return epoll_->descriptor(); }
  /// Waits for that, for at most `timeout_ns` (negative: without bound). Changes nothing.
  bool wait(std::int64_t timeout_ns) noexcept;

 protected:
  static constexpr std::uint64_t kTimerTag = 1;
  static constexpr int kMostRounds = 64;  // of a look: who connects without end gets no more than this in one

  Reception() : epoll_(std::in_place), timer_(std::in_place) {}
  void watch(int descriptor, std::uint64_t tag, const std::string& call);
  void let_go() noexcept {
    epoll_.reset();
    timer_.reset();
  }
  os::Epoll& epoll() noexcept { return *epoll_; }
  os::DeadlineTimer& timer() noexcept { return *timer_; }

 private:
  std::optional<os::Epoll> epoll_;
  std::optional<os::DeadlineTimer> timer_;
};

/// Throws PortError.
[[nodiscard]] std::unique_ptr<Reception> open_reception(const Address& address, const ListenOptions& options);

/// Says in the log, about once a second, what was turned away, so that nobody can flood it.
class Refusals {
 public:
  explicit Refusals(std::string where) : where_(std::move(where)) {}
  void note(const std::function<std::string()>& what) noexcept;

 private:
  std::string where_;
  std::int64_t next_ns_ = 0;
  std::uint64_t unsaid_ = 0;
};

}  // namespace portolan::names

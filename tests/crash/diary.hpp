// SPDX-License-Identifier: Apache-2.0

// What a child says that it is about to do, in memory that outlives it, and what was killed when.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>

#include <portolan/portolan.hpp>

#include "crash/ward.hpp"

namespace portolan::testing {

enum class Phase : std::uint32_t { adopt, post, grow, transfer, receive, count, not_begun };
inline constexpr auto kPhases = static_cast<std::size_t>(Phase::count);

struct Diary {
  std::atomic<Phase> phase{Phase::not_begun};
  std::atomic<std::uint64_t> seen{0};        // messages before this one were received
  std::atomic<std::uint64_t> letting_go{0};  // messages before this one may have been let go of
  std::atomic<std::uint64_t> done{0};        // messages before this one were posted, let go of, or handed on
};

// Kills at random moments of a child's work, and counts in which phase they came.
class Killer {
 public:
  explicit Killer(std::uint64_t seed);

  // Once the child has begun.
  void kill(Ward& ward, const Diary& diary, unsigned most_microseconds);
  [[nodiscard]] std::uint64_t kills(Phase phase) const { return kills_[static_cast<std::size_t>(phase)]; }
  void report() const;  // on stdout

 private:
  std::mt19937_64 random_;
  std::array<std::uint64_t, kPhases> kills_{};
};

// Messages that say which one they are: by the number, or large enough for blocks of their own, or with a
// port in which that number waits.
void post_numbered(MessagePort& port, std::uint64_t number);
void post_large_numbered(MessagePort& port, std::uint64_t number);
[[nodiscard]] std::uint64_t number_of(const MessageEvent& message);
// Whether all of it is what was posted under its number.
[[nodiscard]] bool whole(const MessageEvent& message);

// The next message, whatever is wrong with waiting for it.
[[nodiscard]] Received next_of(MessagePort& port);

// Empty, or the first thing that was not as it should be.
class Complaint {
 public:
  void require(bool holds, const std::string& what, std::uint64_t number) {
    if (!holds && text_.empty()) text_ = what + " at " + std::to_string(number);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace portolan::testing

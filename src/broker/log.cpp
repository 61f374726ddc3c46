// SPDX-License-Identifier: Apache-2.0

#include "broker/log.hpp"

#include "os/pause.hpp"

namespace portolan::broker {

void Log::say(LogLevel level, const char* event, const std::string& fields) noexcept {
  constexpr std::int64_t kWindowNs = 10'000'000'000;
  constexpr std::uint32_t kMostInWindow = 20;
  if (!sink_) return;
  try {
    Event& state = events_[event];
    const std::int64_t now_ns = os::monotonic_ns();
    if (now_ns - state.window_began_ns >= kWindowNs) {
      state.window_began_ns = now_ns;
      state.said = 0;
    }
    if (state.said >= kMostInWindow) {
      ++state.unsaid;
      return;
    }
    ++state.said;
    std::string line = std::string(event) + (fields.empty() ? "" : " ") + fields;
    if (const std::uint64_t unsaid = std::exchange(state.unsaid, 0))
      line += " suppressed=" + std::to_string(unsaid);
    sink_(level, line);
  } catch (...) {
    // No memory to say it, or a sink that throws: nobody here waits for an answer.
  }
}

}  // namespace portolan::broker

// SPDX-License-Identifier: Apache-2.0

#include "port/logging.hpp"

#include <array>
#include <atomic>
#include <cstdlib>
#include <utility>

#include "os/standard_error.hpp"

namespace portolan {

namespace port {

namespace {

constexpr std::array kNames{"off", "error", "warning", "info", "debug"};

struct InstalledSink {
  Callback<void(LogLevel, std::string_view)> call;
  LogLevel most;
  InstalledSink* former;  // may still be in use, and a leak checker finds it here
};

constinit std::atomic<InstalledSink*> present_sink{nullptr};

// Read once, before there is a second thread that could change the environment meanwhile.
const LogLevel wanted_by_environment = [] {
  const char* const wanted = std::getenv("PORTOLAN_LOG");
  for (std::size_t i = 0; wanted != nullptr && i < kNames.size(); ++i)
    if (std::string_view(wanted) == kNames[i]) return static_cast<LogLevel>(i);
  return LogLevel::off;
}();

}  // namespace

bool logs(LogLevel level) noexcept {
  // [D1] acquire; pairs with [D2]: the sink is complete.
  const InstalledSink* const sink = present_sink.load(std::memory_order_acquire);
  return level <= (sink != nullptr ? sink->most : wanted_by_environment);
}

void write_to_log(LogLevel level, const std::string& message) noexcept {
  // [D1] acquire; pairs with [D2]: the sink is complete.
  InstalledSink* const sink = present_sink.load(std::memory_order_acquire);
  try {
    if (sink != nullptr)
      sink->call(level, message);
    else
      os::write_to_standard_error("portolan: " + std::string(to_string(level)) + ": " + message + "\n");
  } catch (...) {
    // The sink's own business; nobody here waits for an answer.
  }
}

}  // namespace port

inline namespace v1 {

std::string_view to_string(LogLevel level) noexcept {
  const auto index = static_cast<std::size_t>(level);
  return index < port::kNames.size() ? port::kNames[index] : "unknown";
}

void set_log_sink(Callback<void(LogLevel, std::string_view)> sink, LogLevel most) {
  if (!sink) most = LogLevel::off;
  // [D3] relaxed: only to be put behind the new one.
  auto* const added =
      new port::InstalledSink{std::move(sink), most, port::present_sink.load(std::memory_order_relaxed)};
  // [D2] acq_rel/relaxed; pairs with [D1]: as there; of two that come at once both are kept.
  while (!port::present_sink.compare_exchange_weak(added->former, added, std::memory_order_acq_rel,
                                                   std::memory_order_relaxed)) {
  }
}

}  // namespace v1
}  // namespace portolan

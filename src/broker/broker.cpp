// SPDX-License-Identifier: Apache-2.0

#include <atomic>
#include <utility>

#include <portolan/broker.hpp>

#include "broker/core.hpp"
#include "os/event_counter.hpp"

namespace portolan {
inline namespace v1 {

Broker::Broker(BrokerOptions options) : core_(std::make_unique<broker::Core>(std::move(options))) {}
Broker::Broker(Broker&& other) noexcept = default;
Broker& Broker::operator=(Broker&& other) noexcept = default;
Broker::~Broker() = default;

void Broker::run(const std::stop_token& stop) {
  // Readable once stop is requested: there is nothing else that could end a wait from another thread.
  os::EventCounter bell;
  const std::stop_callback ring(stop, [&bell] { bell.signal(); });
  os::Epoll both;
  static_cast<void>(both.add(bell.descriptor(), os::kReadable, 0));
  static_cast<void>(both.add(core_->descriptor(), os::kReadable, 1));
  while (!stop.stop_requested()) {
    std::array<os::ReadyTag, 2> ready;
    static_cast<void>(both.wait(ready, -1));
    core_->dispatch();
  }
}

int Broker::native_handle() const {
  return core_->descriptor();
}

void Broker::dispatch() {
  core_->dispatch();
}

void Broker::reload() {
  core_->reload();
}

Broker::Counts Broker::counts() const {
  return core_->counts();
}

}  // namespace v1
}  // namespace portolan

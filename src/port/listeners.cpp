// SPDX-License-Identifier: Apache-2.0

#include "port/listeners.hpp"

#include <algorithm>
#include <utility>

#include "port/reporting.hpp"

namespace portolan::port {

void Listeners::abandon() noexcept {
  owner_ = nullptr;
  for (const auto& listener : listeners_) mark_removed(*listener);
  if (dispatches_ == 0) tidy();
}

ListenerId Listeners::add(std::string_view type, Call call, ListenerOptions options) {
  if (!call || options.signal.stop_requested()) return ListenerId::none;
  auto listener = std::make_unique<Listener>();
  listener->id = ListenerId{last_id_ + 1};
  listener->type = type;
  listener->call = std::move(call);
  listener->once = options.once;
  listener->passive = options.passive;
  listener->capture = options.capture;
  listener->signal = std::move(options.signal);
  listeners_.push_back(std::move(listener));
  capture_count_ += options.capture ? 1 : 0;
  return ListenerId{++last_id_};
}

void Listeners::remove(ListenerId id) noexcept {
  const auto found = std::find_if(listeners_.begin(), listeners_.end(),
                                  [id](const auto& listener) { return listener->id == id; });
  if (found == listeners_.end()) return;
  mark_removed(**found);
  if (dispatches_ == 0) tidy();
}

void Listeners::set_handler(std::string_view type, Call call) {
  const auto found = std::find_if(listeners_.begin(), listeners_.end(), [type](const auto& listener) {
    return listener->handler && !listener->removed && listener->type == type;
  });
  if (found == listeners_.end()) {
    if (!call) return;
    add(type, std::move(call), {});
    listeners_.back()->handler = true;
  } else if (!call) {
    mark_removed(**found);
    if (dispatches_ == 0) tidy();
  } else {
    replaced_.push_back(std::exchange((*found)->call, std::move(call)));
    untidy_ = true;
    if (dispatches_ == 0) tidy();
  }
}

bool Listeners::has(std::string_view type) const noexcept {
  return std::any_of(listeners_.begin(), listeners_.end(),
                     [type](const auto& listener) { return listener->live() && listener->type == type; });
}

void Listeners::dispatch(Event& event) {
  std::exception_ptr unreported;
  const std::size_t end = listeners_.size();
  ++dispatches_;
  event.target_ = this;
  event.flags_ |= Event::kDispatching;

  if (capture_count_ != 0) run_phase(event, true, end, unreported);
  run_phase(event, false, end, unreported);

  event.flags_ &= ~static_cast<unsigned>(Event::kDispatching | Event::kStopPropagation |
                                         Event::kStopImmediatePropagation);
  if (--dispatches_ == 0) tidy();
  if (unreported) std::rethrow_exception(unreported);
}

void Listeners::run_phase(Event& event, bool capture, std::size_t end, std::exception_ptr& unreported) {
  if (event.has(Event::kStopPropagation)) return;
  for (std::size_t i = 0; i < end && !event.has(Event::kStopImmediatePropagation); ++i) {
    Listener& listener = *listeners_[i];
    if (listener.removed || listener.capture != capture || listener.type != event.type_) continue;
    if (listener.signal.stop_requested()) {
      mark_removed(listener);
      continue;
    }
    if (listener.once) mark_removed(listener);
    if (listener.passive) event.flags_ |= Event::kInPassiveListener;
    try {
      listener.call(event);
    } catch (...) {
      auto exception = std::current_exception();
      if (!report(exception) && !unreported) unreported = std::move(exception);
    }
    event.flags_ &= ~static_cast<unsigned>(Event::kInPassiveListener);
  }
}

void Listeners::mark_removed(Listener& listener) noexcept {
  listener.removed = true;
  untidy_ = true;
}

// One at a time and the list in order in between: the destructor of what a callable owns may come back here.
void Listeners::tidy() noexcept {
  if (!std::exchange(untidy_, false)) return;
  const auto replaced = std::move(replaced_);
  replaced_.clear();
  const auto is_removed = [](const auto& listener) { return listener->removed; };
  for (;;) {
    const auto found = std::find_if(listeners_.begin(), listeners_.end(), is_removed);
    if (found == listeners_.end()) return;
    const auto listener = std::move(*found);
    listeners_.erase(found);
  }
}

}  // namespace portolan::port

// SPDX-License-Identifier: Apache-2.0

// How a port, a worker or a listening socket takes part in a loop: attached as a source, or holding it open.
#pragma once

#include <memory>
#include <utility>

#include <portolan/event_loop.hpp>

#include "port/loop_core.hpp"

namespace portolan::port {

/// Internal access to a loop's core.
struct EventLoopAccess {
  /// In a forked child this is a new one.
  static const std::shared_ptr<LoopCore>& core(EventLoop& loop);
  static EventLoop make(std::shared_ptr<LoopCore> core) noexcept { return EventLoop(std::move(core)); }
};

/// A source's place in a loop. To be made and destroyed on the loop's thread (destroyed from anywhere once
/// the loop has ended), and before the source's descriptor is closed or sent away.
class LoopAttachment {
 public:
  LoopAttachment() noexcept = default;
  /// Throws PortError (no descriptors).
  LoopAttachment(EventLoop& loop, LoopSource& source)
      : core_(EventLoopAccess::core(loop)), id_(core_->attach(source)) {}
  LoopAttachment(LoopAttachment&& other) noexcept : core_(std::move(other.core_)), id_(other.id_) {}
  LoopAttachment& operator=(LoopAttachment&& other) noexcept {
    if (this != &other) {
      detach();
      core_ = std::move(other.core_);
      id_ = other.id_;
    }
    return *this;
  }
  ~LoopAttachment() { detach(); }

  void detach() noexcept {
    if (core_ == nullptr) return;  // writes nothing, so that who looks from another thread races with nothing
    if (const auto core = std::exchange(core_, nullptr)) core->detach(id_);
  }
  /// As an edge of its descriptor would. On the loop's thread.
  void wake() noexcept {
    if (core_) core_->wake(id_);
  }
  explicit operator bool() const noexcept { return core_ != nullptr; }
  [[nodiscard]] const std::shared_ptr<LoopCore>& core() const noexcept { return core_; }

 private:
  std::shared_ptr<LoopCore> core_;
  SourceId id_ = SourceId::none;
};

/// Keeps run() from returning. On the loop's thread.
class LoopHold {
 public:
  LoopHold() noexcept = default;
  explicit LoopHold(EventLoop& loop) : core_(EventLoopAccess::core(loop)) { core_->hold(); }
  LoopHold(LoopHold&&) noexcept = default;
  LoopHold& operator=(LoopHold&& other) noexcept {
    if (this != &other) {
      release();
      core_ = std::move(other.core_);
    }
    return *this;
  }
  ~LoopHold() { release(); }

  void release() noexcept {
    if (const auto core = std::exchange(core_, nullptr)) core->release();
  }

 private:
  std::shared_ptr<LoopCore> core_;
};

}  // namespace portolan::port

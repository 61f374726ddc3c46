// SPDX-License-Identifier: Apache-2.0

// A coroutine that is part of another one, or of a loop.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>
#include <variant>

#include <portolan/event_loop.hpp>

namespace portolan {
inline namespace v1 {

template <class T = void>
class Task;

namespace task {

// Resumes whoever awaits the coroutine that has ended.
struct End {
  [[nodiscard]] static bool await_ready() noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) noexcept {
    const std::coroutine_handle<> waiting = ended.promise().waiting;
    return waiting ? waiting : std::noop_coroutine();
  }
  static void await_resume() noexcept {}
};

template <class T>
struct Result {
  std::variant<std::monostate, T, std::exception_ptr> outcome;

  template <class Given>
  void return_value(Given&& value) {
    outcome.template emplace<1>(std::forward<Given>(value));
  }
  void unhandled_exception() noexcept { outcome.template emplace<2>(std::current_exception()); }
  T take() {
    if (outcome.index() == 2) std::rethrow_exception(std::get<2>(outcome));
    return std::move(std::get<1>(outcome));
  }
};

template <>
struct Result<void> {
  std::exception_ptr thrown;

  void return_void() noexcept {}
  void unhandled_exception() noexcept { thrown = std::current_exception(); }
  void take() const {
    if (thrown) std::rethrow_exception(thrown);
  }
};

}  // namespace task

/// What a coroutine of this type returns: it begins when it is awaited, or spawned, and hands what it throws
/// to whoever awaits it. Destroying a Task ends its coroutine where it stands, with everything in it:
/// whatever it was waiting for is given up. Move-only; belongs to one thread.
template <class T>
class [[nodiscard]] Task {
 public:
  struct promise_type : task::Result<T> {
    std::coroutine_handle<> waiting;

    Task get_return_object() noexcept {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    [[nodiscard]] static std::suspend_always initial_suspend() noexcept { return {}; }
    [[nodiscard]] static task::End final_suspend() noexcept { return {}; }
  };

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (coroutine_) coroutine_.destroy();
      coroutine_ = std::exchange(other.coroutine_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  /// Once.
  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> coroutine;
      [[nodiscard]] bool await_ready() const noexcept { return coroutine.done(); }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
        coroutine.promise().waiting = waiting;
        return coroutine;
      }
      T await_resume() { return coroutine.promise().take(); }
    };
    return Awaiter{coroutine_};
  }

 private:
  explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

  std::coroutine_handle<promise_type> coroutine_;
};

namespace task {

// A coroutine that nobody awaits: it owns itself.
struct Detached {
  struct promise_type {
    static Detached get_return_object() noexcept { return {}; }
    [[nodiscard]] static std::suspend_never initial_suspend() noexcept { return {}; }
    [[nodiscard]] static std::suspend_never final_suspend() noexcept { return {}; }
    static void return_void() noexcept {}
    // Thrown anew within a turn of the loop, which gives it to its exception handler or lets run() throw it.
    static void unhandled_exception() {
      EventLoop::current().post([thrown = std::current_exception()] { std::rethrow_exception(thrown); });
    }
  };
};

inline Detached run_detached(Task<> task) {
  co_await std::move(task);
}

}  // namespace task

/// Begins `task` now and lets it run on by itself, in this thread's loop. What it throws goes to the loop's
/// exception handler, or else out of run(). A task keeps run() going as long as what it waits for does; one
/// that still waits when the thread ends is never destroyed.
inline void spawn(Task<> task) {
  task::run_detached(std::move(task));
}

}  // namespace v1
}  // namespace portolan

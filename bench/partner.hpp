// SPDX-License-Identifier: Apache-2.0

// The other process of a measurement: a forked child on CPU 1, with a page that both see. The parent is on
// CPU 0.
#pragma once

#include <functional>
#include <sys/types.h>

namespace bench {

class Partner {
 public:
  // Runs `body` in the child, whose exit status is 0 if it returns.
  explicit Partner(const std::function<void()>& body);
  Partner(const Partner&) = delete;
  Partner& operator=(const Partner&) = delete;
  // Waits for it. Throws std::runtime_error in case it failed, unless another exception is under way.
  ~Partner() noexcept(false);

 private:
  pid_t pid_;
  int exceptions_;
};

// Memory that parent and children share; zero at first, lives as long as the program.
void* shared_memory(std::size_t bytes);

template <class T>
T& shared() {
  return *static_cast<T*>(shared_memory(sizeof(T)));
}

}  // namespace bench

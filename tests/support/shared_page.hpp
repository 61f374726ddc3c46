// SPDX-License-Identifier: Apache-2.0

// A value that several processes see at once: phases, counters, verdicts. It outlives every process that is
// killed, which is what makes it the place to write "I am about to post message n".
#pragma once

#include <cerrno>
#include <new>
#include <sys/mman.h>
#include <system_error>
#include <type_traits>
#include <unistd.h>

namespace portolan::testing {

// T holds atomics and plain values, no pointers. It is value-initialised once, by the process that makes the
// page. A forked child shares the page as it is; a re-executed one is given `descriptor()` and maps it with
// the second constructor. Construct it before a ResourceCensus, which counts its descriptor and its mapping.
template <class T>
class SharedPage {
  static_assert(std::is_trivially_destructible_v<T>, "nobody knows which process is the last one");

 public:
  SharedPage() : descriptor_(::memfd_create("test-shared-page", MFD_CLOEXEC)) {
    if (descriptor_ < 0 || ::ftruncate(descriptor_, sizeof(T)) != 0) {
      throw std::system_error(errno, std::generic_category(), "SharedPage: memfd");
    }
    map();
    ::new (value_) T{};
  }

  // Takes over `descriptor`, the number under which the page was inherited.
  explicit SharedPage(int descriptor) : descriptor_(descriptor) { map(); }

  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;
  ~SharedPage() {
    ::munmap(value_, sizeof(T));
    ::close(descriptor_);
  }

  T* operator->() const { return static_cast<T*>(value_); }
  T& operator*() const { return *static_cast<T*>(value_); }
  int descriptor() const { return descriptor_; }

 private:
  void map() {
    value_ = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
    if (value_ == MAP_FAILED) {
      throw std::system_error(errno, std::generic_category(), "SharedPage: mmap");
    }
  }

  int descriptor_;
  void* value_ = nullptr;
};

}  // namespace portolan::testing

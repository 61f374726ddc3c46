// SPDX-License-Identifier: Apache-2.0

#include "partner.hpp"

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu.hpp"

namespace bench {

Partner::Partner(const std::function<void()>& body) : exceptions_(std::uncaught_exceptions()) {
  pin_to(0);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ != 0) return;
  try {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin_to(1);
    body();
    _exit(0);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "partner: %s\n", failure.what());
    _exit(1);
  }
}

Partner::~Partner() noexcept(false) {
  int status = 0;
  waitpid(pid_, &status, 0);
  if (status != 0 && std::uncaught_exceptions() == exceptions_)
    throw std::runtime_error("the partner process failed");
}

void* shared_memory(std::size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

}  // namespace bench

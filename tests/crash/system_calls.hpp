// SPDX-License-Identifier: Apache-2.0

// What a test does at the edge of one of the library's system calls: kill itself there, stop there, let
// another thread in, or refuse the call. This binary's sendmsg, recvmsg, shutdown and pread stand in front of
// the C library's.
#pragma once

#include <functional>

namespace portolan::testing {

// Empty: nothing happens. Those of packets are called for packets, not for doorbells nor for looks that take
// nothing.
struct SystemCalls {
  std::function<int()> before_send;  // an errno to fail with, or 0
  std::function<void()> after_send;
  std::function<void()> before_receive;
  std::function<void()> after_receive;
  std::function<void()> before_doorbell;
  std::function<void()> before_shutdown;
  std::function<void()> before_read;  // at a place of a file
};

// Of the whole process; set while nobody is inside a call.
SystemCalls& system_calls();

void kill_me();
void stop_me();

}  // namespace portolan::testing

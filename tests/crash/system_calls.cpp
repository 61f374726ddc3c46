// SPDX-License-Identifier: Apache-2.0

#include "crash/system_calls.hpp"

#include <cerrno>
#include <csignal>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace portolan::testing {

SystemCalls& system_calls() {
  static SystemCalls calls;
  return calls;
}

void kill_me() {
  ::raise(SIGKILL);
}

void stop_me() {
  ::raise(SIGSTOP);
}

}  // namespace portolan::testing

using portolan::testing::system_calls;

extern "C" ssize_t sendmsg(int socket, const msghdr* message, int flags) {
  const bool watched = message->msg_iov->iov_len > 1;
  // A copy: a call may replace itself.
  const auto before_send = system_calls().before_send;
  const int error = watched && before_send ? before_send() : 0;
  if (error != 0) {
    errno = error;
    return -1;
  }
  if (!watched && system_calls().before_doorbell) system_calls().before_doorbell();
  const ssize_t result = ::syscall(SYS_sendmsg, socket, message, flags);
  if (watched && system_calls().after_send) system_calls().after_send();
  return result;
}

extern "C" ssize_t recvmsg(int socket, msghdr* message, int flags) {
  const bool watched = message->msg_controllen != 0;
  if (watched && system_calls().before_receive) system_calls().before_receive();
  const ssize_t result = ::syscall(SYS_recvmsg, socket, message, flags);
  if (watched && system_calls().after_receive) system_calls().after_receive();
  return result;
}

extern "C" int shutdown(int socket, int how) noexcept {
  if (system_calls().before_shutdown) system_calls().before_shutdown();
  return static_cast<int>(::syscall(SYS_shutdown, socket, how));
}

extern "C" ssize_t pread(int file, void* buffer, size_t bytes, off_t offset) {
  if (system_calls().before_read) system_calls().before_read();
  return ::syscall(SYS_pread64, file, buffer, bytes, offset);
}

// SPDX-License-Identifier: Apache-2.0

// portoland as a measurement runs it, and the processes beside it: forked before there is any port.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace bench {

/// A forked process that ends with what `body` returns, and with this one.
pid_t start_process(const std::function<int()>& body);
/// Its exit status, or 128 and the signal.
int wait_for(pid_t process);
void kill_process(pid_t process);

class DaemonProcess {
 public:
  /// Starts it in a directory of its own, and sets PORTOLAN_SOCKET for this process and those that it starts.
  DaemonProcess(std::string program, std::vector<std::string> options);
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;
  ~DaemonProcess();

  /// Returns when it answers.
  void start();
  void kill();
  [[nodiscard]] const std::string& socket() const noexcept { return socket_; }
  /// Its resident memory, in bytes.
  [[nodiscard]] std::uint64_t memory_bytes() const;
  /// The processor time it has used, in seconds.
  [[nodiscard]] double cpu_seconds() const;

 private:
  std::string program_;
  std::vector<std::string> options_;
  std::string directory_;
  std::string socket_;
  pid_t pid_ = -1;
};

/// Memory that is seen by all processes that are forked from this one; zeroed, never given back.
void* shared_memory(std::size_t bytes);
template <class T>
T& shared_value() {
  return *static_cast<T*>(shared_memory(sizeof(T)));
}

}  // namespace bench

// SPDX-License-Identifier: Apache-2.0

// How a process ended.
#pragma once

namespace portolan {
inline namespace v1 {

/// `exited` with `code`; else killed by `signal`, which is 0 if nobody can tell any more: something else in
/// this process has reaped the child, or SIGCHLD is ignored.
struct ExitStatus {
  bool exited = false;
  int code = 0;
  int signal = 0;
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

}  // namespace v1
}  // namespace portolan

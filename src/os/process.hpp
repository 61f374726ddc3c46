// SPDX-License-Identifier: Apache-2.0

// Starting another program with chosen descriptors, and learning of the death of any process through a pidfd,
// which keeps naming the same process when its number is given to another one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <portolan/file_descriptor.hpp>

namespace portolan::os {

/// `source` here is open as `target` there. Targets differ from each other; sources and targets may overlap.
struct InheritedDescriptor {
  int source;
  int target;
};

struct SpawnRequest {
  std::string program;                   // looked up in $PATH when it has no slash
  std::vector<std::string> arguments;    // without the program's own name
  std::vector<std::string> environment;  // all of it, as NAME=VALUE
  std::string directory;                 // empty: ours. A relative program path is looked up from there
  std::vector<InheritedDescriptor> descriptors;  // 0, 1 and 2 are inherited anyway
  std::string call = "spawn";                    // what a refusal says was called
};

struct SpawnedProcess {
  int pid = -1;
  FileDescriptor pidfd;
};

/// Starts a program; a program that cannot be executed is an error here and no child. Signals are unblocked
/// in the child. Throws PortError.
[[nodiscard]] SpawnedProcess spawn(const SpawnRequest& request);

/// This process, as its peers may see it in their own process listings.
[[nodiscard]] std::uint32_t process_id() noexcept;

/// How many processors this process may run on, at least 1.
[[nodiscard]] unsigned usable_processors() noexcept;

/// Whom the kernel takes this process for when it asks about permissions.
[[nodiscard]] std::uint32_t effective_uid() noexcept;

/// The environment of this process, as NAME=VALUE.
[[nodiscard]] std::vector<std::string> current_environment();

/// The variable's value, which is gone from the environment afterwards; empty if there is none. Other threads
/// must not use the environment meanwhile.
[[nodiscard]] std::optional<std::string> take_from_environment(const char* name);

/// A descriptor that becomes readable when the process ends. Throws PortError.
[[nodiscard]] FileDescriptor open_pidfd(int pid);

/// Whether the process has ended (also when nobody has reaped it yet). At once.
[[nodiscard]] bool is_dead(int pidfd) noexcept;

/// Waits for at most `timeout_ns` (negative: without bound) for the process to end, and does not reap it.
/// Whether it has ended; or whether the descriptor cannot be waited for.
[[nodiscard]] bool ended_within(int pidfd, std::int64_t timeout_ns) noexcept;

struct ProcessEnd {
  enum class Kind : std::uint8_t {
    exited,   // value is the exit status
    killed,   // value is the signal
    unknown,  // somebody else has reaped it, or it is no child of ours
  };
  Kind kind = Kind::unknown;
  int value = 0;
};

/// Waits for at most `timeout_ns` (negative: without bound) for the end of a child and reaps it. Empty on
/// timeout.
[[nodiscard]] std::optional<ProcessEnd> wait_for_end(int pidfd, std::int64_t timeout_ns) noexcept;

/// Sends a signal; no_such_process when it is gone.
[[nodiscard]] std::error_code send_signal(int pidfd, int signal) noexcept;

/// Whether the descriptor survives an exec.
[[nodiscard]] std::error_code set_inheritable(int descriptor, bool inheritable) noexcept;

}  // namespace portolan::os

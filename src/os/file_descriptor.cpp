// SPDX-License-Identifier: Apache-2.0

// What FileDescriptor asks of the kernel.
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <portolan/file_descriptor.hpp>

#include "os/descriptor_closer.hpp"
#include "os/refusal.hpp"

namespace portolan {
inline namespace v1 {

FileDescriptor FileDescriptor::duplicate_of(int descriptor) {
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) {
    os::throw_refusal(os::last_error(), "FileDescriptor::duplicate", {},
                      "close descriptors or raise RLIMIT_NOFILE (ulimit -n)");
  }
  return FileDescriptor(copy);
}

void FileDescriptor::close_now(int descriptor, bool foreign) noexcept {
  const int saved = errno;
  // After EINTR Linux has closed it all the same; trying again could close somebody else's.
  if (!foreign || !os::close_elsewhere(descriptor)) ::close(descriptor);
  errno = saved;
}

}  // namespace v1
}  // namespace portolan

// SPDX-License-Identifier: Apache-2.0

#include "os/user_database.hpp"

#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sstream>
#include <sys/socket.h>
#include <unistd.h>

#include <portolan/file_descriptor.hpp>

namespace portolan::os {
namespace {

constexpr std::size_t kRecordBytes = 16 << 10;

std::optional<passwd> find_user(const std::string& name, std::vector<char>& space) {
  passwd record{};
  passwd* found = nullptr;
  space.resize(kRecordBytes);
  if (::getpwnam_r(name.c_str(), &record, space.data(), space.size(), &found) != 0 || found == nullptr)
    return std::nullopt;
  return record;
}

constexpr std::uint32_t kOverflowUid = 65534;  // the kernel's, unless its fs.overflowuid was changed

// Lines of: first uid in here, first one outside, how many.
bool knows_all_users() {
  constexpr std::uint64_t kUsers = 0xFFFF'FFFF;
  const auto map = read_text("/proc/self/uid_map", 16 << 10);
  if (!map) return false;
  std::istringstream lines(*map);
  std::uint64_t inside = 0, outside = 0, count = 0, known = 0;
  while (lines >> inside >> outside >> count) known += count;
  return known >= kUsers;
}

}  // namespace

std::uint32_t known_uid(std::uint32_t told) noexcept {
  if (told != kOverflowUid) return told;
  const int saved = errno;
  bool known = false;
  try {
    known = knows_all_users();
  } catch (const std::exception&) {  // no memory
  }
  errno = saved;
  return known ? told : kUnknownUid;
}

std::optional<std::uint32_t> uid_of_user(const std::string& name) {
  std::vector<char> space;
  const auto user = find_user(name, space);
  return user ? std::optional<std::uint32_t>(user->pw_uid) : std::nullopt;
}

std::optional<std::uint32_t> gid_of_user(const std::string& name) {
  std::vector<char> space;
  const auto user = find_user(name, space);
  return user ? std::optional<std::uint32_t>(user->pw_gid) : std::nullopt;
}

std::optional<std::uint32_t> gid_of_group(const std::string& name) {
  std::vector<char> space(kRecordBytes);
  group record{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &record, space.data(), space.size(), &found) != 0 || found == nullptr)
    return std::nullopt;
  return record.gr_gid;
}

std::vector<std::uint32_t> peer_groups(int socket) {
  std::vector<std::uint32_t> groups(64);
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(std::uint32_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0) {
      groups.resize(size / sizeof(std::uint32_t));
      return groups;
    }
    if (errno != ERANGE) break;
    groups.resize(size / sizeof(std::uint32_t));
  }
  return {};
}

std::optional<std::string> read_text(const std::string& path, std::size_t most_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return std::nullopt;
  std::string text(most_bytes + 1, '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + filled, text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  if (filled > most_bytes) {
    errno = EFBIG;
    return std::nullopt;
  }
  text.resize(filled);
  return text;
}

}  // namespace portolan::os

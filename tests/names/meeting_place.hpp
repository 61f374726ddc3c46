// SPDX-License-Identifier: Apache-2.0

// A directory for sockets that is gone afterwards, and that every user may reach.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace portolan::testing {

class MeetingPlace {
 public:
  MeetingPlace() {
    std::string name = (room() / "portolan-names-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    directory_ = name;
    std::filesystem::permissions(directory_, std::filesystem::perms::all);
  }
  MeetingPlace(const MeetingPlace&) = delete;
  MeetingPlace& operator=(const MeetingPlace&) = delete;
  ~MeetingPlace() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  [[nodiscard]] std::string path(const std::string& name) const { return (directory_ / name).string(); }
  [[nodiscard]] std::string address(const std::string& name) const { return "unix:" + path(name); }
  [[nodiscard]] bool empty() const { return std::filesystem::is_empty(directory_); }

 private:
  // $TMPDIR may be too deep for a socket's path, or within a directory that is one user's own.
  static std::filesystem::path room() {
    const std::filesystem::path wanted = std::filesystem::temp_directory_path();
    for (const std::filesystem::path& each : {wanted, std::filesystem::path("/tmp")})
      if (is_fit(each)) return each;
    return wanted;
  }
  static bool is_fit(const std::filesystem::path& directory) {
    using std::filesystem::perms;
    constexpr std::size_t kMostBytes = 50;  // 107 are a socket's path, and names come behind it
    if (directory.string().size() > kMostBytes) return false;
    std::error_code error;
    std::filesystem::path whole;
    for (const std::filesystem::path& part : std::filesystem::canonical(directory, error)) {
      whole /= part;
      const perms found = std::filesystem::status(whole, error).permissions();
      if (error || (found & perms::others_exec) == perms::none) return false;
    }
    return !error;
  }

  std::filesystem::path directory_;
};

}  // namespace portolan::testing

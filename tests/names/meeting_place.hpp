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
    std::string name = (std::filesystem::temp_directory_path() / "portolan-names-XXXXXX").string();
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
  std::filesystem::path directory_;
};

}  // namespace portolan::testing

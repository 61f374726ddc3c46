// SPDX-License-Identifier: Apache-2.0

#include "daemon/daemon_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <portolan/port.hpp>

namespace bench {

namespace {

bool answers() {
  try {
    static_cast<void>(portolan::connect("answers", std::chrono::nanoseconds(0)));
  } catch (const portolan::PortError& error) {
    return std::string_view(error.what()).find("nobody has registered it") != std::string_view::npos;
  }
  return false;
}

}  // namespace

pid_t start_process(const std::function<int()>& body) {
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child > 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
  int code = 99;
  try {
    code = body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
  }
  ::_exit(code);
}

int wait_for(pid_t process) {
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void kill_process(pid_t process) {
  ::kill(process, SIGKILL);
  wait_for(process);
}

DaemonProcess::DaemonProcess(std::string program, std::vector<std::string> options)
    : program_(std::move(program)), options_(std::move(options)) {
  std::string name = (std::filesystem::temp_directory_path() / "portolan-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
  directory_ = name;
  std::filesystem::permissions(directory_, std::filesystem::perms::all);
  socket_ = directory_ + "/portolan.sock";
  ::setenv("PORTOLAN_SOCKET", socket_.c_str(), 1);
  start();
}

DaemonProcess::~DaemonProcess() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void DaemonProcess::start() {
  pid_ = start_process([this] {
    std::vector<std::string> words{program_, "--system", "--socket", socket_, "--log-level", "error"};
    words.insert(words.end(), options_.begin(), options_.end());
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    ::execv(pointers[0], pointers.data());
    return 127;
  });
  while (!answers()) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) throw std::runtime_error(program_ + " has ended at once");
    ::usleep(200);
  }
}

void DaemonProcess::kill() {
  if (pid_ > 0) kill_process(std::exchange(pid_, -1));
}

std::uint64_t DaemonProcess::memory_bytes() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6)) * 1024;
  return 0;
}

double DaemonProcess::cpu_seconds() const {
  std::ifstream stat("/proc/" + std::to_string(pid_) + "/stat");
  std::string text;
  std::getline(stat, text);
  // Behind the name, which may have spaces: state is field 3, utime 14, stime 15.
  text.erase(0, text.rfind(')') + 2);
  std::string word;
  double ticks = 0;
  for (int field = 3; field <= 15; ++field) {
    const std::size_t end = text.find(' ');
    if (field >= 14) ticks += std::stod(text.substr(0, end));
    text.erase(0, end + 1);
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void* shared_memory(std::size_t bytes) {
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  return memory;
}

}  // namespace bench

// SPDX-License-Identifier: Apache-2.0

// Without libFuzzer: reads the seeds and every file of the kept corpus, and some damaged ones of each.
//   usage: PROGRAM CORPUS_DIRECTORY       or       PROGRAM --seeds DIRECTORY, which writes the seeds there
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "fuzz/target.hpp"

namespace {

using portolan::fuzz::Input;

Input file_content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  Input content;
  for (std::istreambuf_iterator<char> letter(file), end; letter != end; ++letter)
    content.push_back(static_cast<std::byte>(*letter));
  return content;
}

// In memory of exactly its size, so that a sanitizer sees a read past the end.
bool read_exactly(const Input& input, std::size_t bytes) {
  const std::unique_ptr<std::byte[]> exact(new std::byte[bytes]);
  if (bytes != 0) std::memcpy(exact.get(), input.data(), bytes);
  return portolan::fuzz::read_watched({exact.get(), bytes});
}

// Each length that is shorter, and each byte with each of its bits turned.
std::size_t read_damaged(Input input) {
  std::size_t refused = 0;
  for (std::size_t bytes = 0; bytes < input.size(); ++bytes) refused += !read_exactly(input, bytes);
  for (std::byte& byte : input) {
    for (unsigned bit = 1; bit < 256; bit *= 2) {
      byte ^= static_cast<std::byte>(bit);
      refused += !read_exactly(input, input.size());
      byte ^= static_cast<std::byte>(bit);
    }
  }
  return refused;
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<Input> seeds = portolan::fuzz::seeds();
  if (count == 3 && std::strcmp(arguments[1], "--seeds") == 0) {
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      std::ofstream(std::filesystem::path(arguments[2]) / ("seed" + std::to_string(i)), std::ios::binary)
          .write(reinterpret_cast<const char*>(seeds[i].data()),
                 static_cast<std::streamsize>(seeds[i].size()));
    }
    return 0;
  }
  FUZZ_HOLDS(count == 2);
  std::size_t files = 0, read = 0, refused = 0;
  for (const Input& seed : seeds) {
    FUZZ_HOLDS(read_exactly(seed, seed.size()));
    refused += read_damaged(seed);
  }
  for (const auto& entry : std::filesystem::directory_iterator(arguments[1])) {
    const Input input = file_content(entry.path());
    ++files;
    read += read_exactly(input, input.size());
  }
  std::printf("%zu seeds, of which damaged %zu were refused; %zu files, of which %zu were read\n",
              seeds.size(), refused, files, read);
  FUZZ_HOLDS(refused > 0 && read > 0 && read < files);
  return 0;
}

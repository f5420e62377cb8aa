// The last trusted route on disk: a proxy that is started again never routes below its last term. Owned by
// proxy/server on the control thread; a thread of its own writes, since a disk may take its time and a
// failover must not wait for it. Each write is atomic: a new file, fsync, rename, fsync of the directory.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "health/topology.hpp"

namespace fairlead::proxy {

/// As text and back; nullopt when the text is not whole, or is about another master.
[[nodiscard]] std::string format_state(const health::Remembered& state, const std::string& master_name);
[[nodiscard]] std::optional<health::Remembered> parse_state(const std::string& text,
                                                            const std::string& master_name);

class StateFile {
 public:
  /// The file is `<directory>/route`.
  StateFile(const std::string& directory, std::string master_name);
  ~StateFile();
  StateFile(const StateFile&) = delete;
  StateFile& operator=(const StateFile&) = delete;

  /// Tries the directory (it is made when it is missing) and starts the writer. An error text, or empty.
  [[nodiscard]] std::string open();
  /// What the file said at open(); nullopt when there was none. A file that cannot be understood is told on
  /// the log and counts as none.
  [[nodiscard]] const std::optional<health::Remembered>& last() const { return last_; }
  /// Hands it to the writer; of several the newest is written. A failed write is told on the log and tried
  /// again with the next one.
  void keep(const health::Remembered& state);
  /// Writes what was handed over and ends the writer. Called by the destructor too.
  void close();

 private:
  void run();
  [[nodiscard]] std::string write(const std::string& text) const;

  std::string directory_;
  std::string path_;
  std::string master_name_;
  std::optional<health::Remembered> last_;
  std::mutex mutex_;  // guards the three below
  std::condition_variable changed_;
  std::optional<health::Remembered> next_;
  bool closing_ = false;
  std::thread writer_;
};

}  // namespace fairlead::proxy

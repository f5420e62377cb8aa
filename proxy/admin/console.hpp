// The operator's console: what one connection says, in RESP, and what it is answered. Pure; owned by its
// connection; lives on the control thread. It shows what the page shows and does what the page may do.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "proxy/admin/http_login.hpp"
#include "proxy/admin/pages.hpp"
#include "proxy/options.hpp"
#include "resp/command_reader.hpp"
#include "resp/types.hpp"

namespace fairlead::proxy {

struct ConsoleProvider {
  std::function<AdminSnapshot()> snapshot;
  std::function<std::string(const AdminAction&)> act;
  MayAct may_act = MayAct::no;
  HttpLogin login;                   // the page's; without a password nobody is asked
  const Options* options = nullptr;  // for SHOW CONFIG; outlives the console
};

class ConsoleDialog {
 public:
  enum class Next : std::uint8_t { go_on, close };

  explicit ConsoleDialog(const ConsoleProvider& provider)
      : provider_(provider), authenticated_(provider.login.password.empty()) {}

  /// Appends the answer to `out`.
  [[nodiscard]] Next answer(const resp::CommandView& command, std::string& out);
  [[nodiscard]] bool authenticated() const { return authenticated_; }

 private:
  using View = resp::CommandView;
  void hello(const View& command, std::string& out);
  void auth(const View& command, std::string& out);
  void show(const View& command, std::string& out);
  void kill(const View& command, std::string& out);
  void help(const View& command, std::string& out);
  void slow_log(const View& command, std::string& out);
  [[nodiscard]] bool log_in(std::string_view user, std::string_view password);
  void append_lines(std::string& out, const std::vector<std::string>& lines) const;

  const ConsoleProvider& provider_;
  resp::Version version_ = resp::Version::resp2;
  bool authenticated_;
};

}  // namespace fairlead::proxy

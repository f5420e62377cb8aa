#include "proxy/admin/http_login.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace fairlead::proxy {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The time depends on the length of `given`, which its sender knows, and on nothing else.
bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  std::size_t difference = given.size() ^ secret.size();
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char expected = secret.empty() ? '\0' : secret[i % secret.size()];
    difference |=
        static_cast<std::size_t>(static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(expected));
  }
  return difference == 0;
}

bool is_basic(std::string_view authorization) {
  constexpr std::string_view scheme = "basic ";
  if (authorization.size() < scheme.size()) return false;
  return std::equal(scheme.begin(), scheme.end(), authorization.begin(), [](char expected, char given) {
    return expected == (given >= 'A' && given <= 'Z' ? static_cast<char>(given - 'A' + 'a') : given);
  });
}

/// `user:password` of a header; nullopt when it is no Basic login.
std::optional<std::string> decode_basic(std::string_view authorization) {
  if (!is_basic(authorization)) return std::nullopt;
  std::string_view encoded = authorization.substr(authorization.find(' '));
  encoded.remove_prefix(std::min(encoded.size(), encoded.find_first_not_of(' ')));
  return decode_base64(encoded);
}

HttpReply unauthorized() {
  HttpReply reply;
  reply.status = 401;
  reply.body = "login required: 'user' and 'password' of [stats] in fairlead's configuration\n";
  reply.headers.emplace_back("WWW-Authenticate", "Basic realm=\"fairlead\", charset=\"UTF-8\"");
  return reply;
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && !text.empty() && text.back() == '=') {
    text.remove_suffix(1);
    ++padding;
  }
  std::string result;
  std::uint32_t bits = 0;
  std::uint32_t bit_count = 0;
  for (const char c : text) {
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6U | static_cast<std::uint32_t>(value)) & 0xffffU;
    bit_count += 6;
    if (bit_count < 8) continue;
    bit_count -= 8;
    result += static_cast<char>(bits >> bit_count & 0xffU);
  }
  return result;
}

bool login_matches(const HttpLogin& login, std::string_view authorization) {
  const auto decoded = decode_basic(authorization);
  if (!decoded) return false;
  const std::size_t colon = decoded->find(':');
  if (colon == std::string::npos) return false;
  const std::string_view given(*decoded);
  return login_is(login, given.substr(0, colon), given.substr(colon + 1));
}

std::string user_of(std::string_view authorization) {
  const auto decoded = decode_basic(authorization);
  return decoded ? decoded->substr(0, decoded->find(':')) : std::string();
}

bool login_is(const HttpLogin& login, std::string_view user, std::string_view password) {
  // Both halves are always compared, so that the time does not tell whether the user exists.
  const bool user_fits = login.user.empty() || equal_in_constant_time(user, login.user);
  const bool password_fits = equal_in_constant_time(password, login.password);
  return user_fits && password_fits;
}

HttpHandler require_login(HttpLogin login, std::vector<std::string> open_paths, HttpHandler next) {
  if (login.password.empty()) return next;
  return [login = std::move(login), open_paths = std::move(open_paths),
          next = std::move(next)](const HttpRequestView& request) {
    const std::string_view path = path_of(request.target);
    const bool open = std::find(open_paths.begin(), open_paths.end(), path) != open_paths.end();
    return open || login_matches(login, request.authorization) ? next(request) : unauthorized();
  };
}

}  // namespace fairlead::proxy

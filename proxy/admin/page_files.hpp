// The files of proxy/admin/page/, compiled into the program by proxy/admin/embed_page.cmake. Constant.
#pragma once

#include <string_view>

namespace fairlead::proxy {

struct PageFile {
  std::string_view name;
  std::string_view content_type;
  std::string_view body;
};

/// nullptr when there is no such file. `index.html` is always there.
[[nodiscard]] const PageFile* find_page_file(std::string_view name);

}  // namespace fairlead::proxy

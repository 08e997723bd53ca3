# SPDX-License-Identifier: BSD-3-Clause
# Files that name the installed programs. The prefix may be another one now than when this was configured.
#
#   source  the folder of this file     work  where to make the files
#   bindir, datadir                     as GNUInstallDirs has them, relative to the prefix or absolute
foreach(dir bindir datadir)
  if(NOT IS_ABSOLUTE "${${dir}}")
    set(${dir} "${CMAKE_INSTALL_PREFIX}/${${dir}}")
  endif()
endforeach()

function(install_made template destination)
  get_filename_component(name ${template} NAME_WLE)
  configure_file(${source}/${template} ${work}/${name} @ONLY)
  file(INSTALL ${work}/${name} DESTINATION ${destination})
endfunction()

install_made(passthrough/50-virtiofs-passthrough.json.in ${datadir}/qemu/vhost-user)
foreach(unit virtiofs-passthrough.service virtiofs-passthrough@.service virtiofs-passthrough@.socket)
  install_made(systemd/${unit}.in ${CMAKE_INSTALL_PREFIX}/lib/systemd/system)
endforeach()

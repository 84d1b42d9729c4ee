# Copies MANIFEST to OUTPUT with "sha256" set to the hash of LIBRARY.
file(SHA256 "${LIBRARY}" hash)
file(READ "${MANIFEST}" manifest)
string(JSON manifest SET "${manifest}" sha256 "\"${hash}\"")
get_filename_component(library_name "${LIBRARY}" NAME)
string(JSON manifest SET "${manifest}" library "\"${library_name}\"")
file(WRITE "${OUTPUT}" "${manifest}\n")
file(CHMOD "${OUTPUT}" "${LIBRARY}" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)

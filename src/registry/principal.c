#include "registry/principal.h"

bool gh_principal_copy(const struct gh_principal *from, struct gh_arena *arena,
                       struct gh_principal *out)
{
    *out = *from;
    return gh_arena_copy(arena, from->tenant_name, &out->tenant_name) &&
           gh_arena_copy(arena, from->registry_name, &out->registry_name) &&
           gh_arena_copy(arena, from->location, &out->location) &&
           gh_arena_copy(arena, from->device_id, &out->device_id) &&
           gh_arena_copy(arena, from->credential_id, &out->credential_id) &&
           gh_arena_copy(arena, from->token_id, &out->token_id);
}

bool gh_caller_copy(const struct gh_caller *from, struct gh_arena *arena, struct gh_caller *out)
{
    *out = *from;
    return gh_arena_copy(arena, from->name, &out->name) &&
           gh_arena_copy(arena, from->member, &out->member) &&
           gh_arena_copy(arena, from->role, &out->role) &&
           gh_arena_copy(arena, from->permissions, &out->permissions);
}

//! `linux.seccomp`: which system calls the process may make (seccomp(2)).

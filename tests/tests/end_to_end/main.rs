//! The end-to-end tests, one module for each theme. They are one program, so
//! that it is linked once and that tests of different modules run beside each
//! other. Each makes a world of its own (an agent, ports, names of apps), so
//! none may count on being alone on the machine.

mod adopt;
mod backups;
mod causes;
mod changes;
mod connection;
mod crash;
mod data;
mod doctor;
mod dumps;
mod engines;
mod guard;
mod hooks;
mod house;
mod init;
mod keep;
mod look;
mod mysql_over;
mod offsite;
mod openssh;
mod operate;
mod outside;
mod planted;
mod programs;
mod promote;
mod put_back;
mod recover;
mod restores;
mod rollback;
mod schedule;
mod secrets;
mod setup;
mod shapes;
mod ship;
mod systemd;
mod volumes;
